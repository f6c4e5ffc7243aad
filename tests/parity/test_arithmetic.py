"""Functions of several tensors against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from binary_cases import KINDS, binary
from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, INTEGERS, check, covers, number, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

PAIRS = ("atan2", "arctan2", "hypot", "heaviside")
TENSORS = {"kind": ["tensors", "in place"]}
LOGARITHMS = {
    DType.FLOAT32: Tolerance(
        2e-6, 2e-6, reason="OpenVINO's exponentials and logarithms are polynomials"
    )
}
NUMBERS = (2, -3, 1.5, 0, -0.5)


@covers("aten::fmod", "aten::fmod_", each={"kind": KINDS})
def test_fmod(kind: str, data: st.DataObject) -> None:
    binary(data, "fmod", kind, numbers=(2, -3, 1.5, True), zeros=False)


@covers("aten::{name}", "aten::{name}_", name=PAIRS, each=TENSORS)
def test_pairs(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind, mixes=True)


HALF_POWERS = Tolerance(1e-2, 1e-2, reason="torch rounds 2^other to the dtype of other, 8 bits of "
                        "bfloat16; OpenVINO does not")  # fmt: skip


@covers("aten::ldexp", "aten::ldexp_", each={**TENSORS, "half": [False, True]})
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized:UserWarning")
def test_ldexp(kind: str, half: bool, data: st.DataObject) -> None:
    dtypes = FLOATS if half else (DType.FLOAT32, *INTEGERS, DType.BOOL)
    binary(data, "ldexp", kind, dtypes=dtypes, tolerance=HALF_POWERS if half else None)


@covers("aten::{name}", name=["fmax", "fmin"])
def test_extremes(name: str, data: st.DataObject) -> None:
    if data.draw(st.booleans(), label="with NaN"):
        left, right = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
        x, z = (operand(data, name, FLOATS, shape) for name, shape in (("x", left), ("z", right)))
        check(data, f"torch.{name}(torch.sqrt(x), torch.sqrt(z))", x=x, z=z, mixes=True)
        return
    binary(data, name, "tensors")


@covers("aten::copysign", "aten::copysign_", each={"kind": KINDS})
def test_copysign(kind: str, data: st.DataObject) -> None:
    binary(data, "copysign", kind, numbers=(2, -3, 1.5, 0.0, -0.0, True))


@covers("aten::{name}", name=["logaddexp", "logaddexp2"])
def test_sums_of_powers(name: str, data: st.DataObject) -> None:
    binary(data, name, "tensors", low=-30, high=30, tolerance=LOGARITHMS)


@covers(
    "aten::xlogy",
    "aten::xlogy_",
    each={"kind": [*(kind for kind in KINDS if "overload" not in kind), "number first"]},
)
def test_xlogy(kind: str, data: st.DataObject) -> None:
    binary(data, "xlogy", kind, numbers=NUMBERS, low=-1, tolerance=LOGARITHMS)


@covers("aten::special_{name}", name=["xlogy", "xlog1py"],
        each={"call": ["(x, z)", "(x, {})", "({}, x)"]})  # fmt: skip
def test_special(name: str, call: str, data: st.DataObject) -> None:
    left, right = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    x, z = operand(data, "x", ANY, left, low=-2), operand(data, "z", ANY, right, low=-2)
    text = f"torch.special.{name}{call.format(number(data, 'number', NUMBERS))}"
    check(data, text, x=x, z=z, tolerance=LOGARITHMS)


POWERS = Tolerance(2e-5, 2e-5, reason="torch computes float64, backends float32")


@pytest.mark.filterwarnings("ignore::fwd_core.rewrite.precision.PrecisionWarning")
@covers(
    "aten::float_power",
    "aten::float_power_",
    each={"kind": ["tensors", "number", "number first", "in place", "in place with a number"]},
)
def test_float_power(kind: str, data: st.DataObject) -> None:
    written = kind.startswith("in place")
    dtypes = (DType.FLOAT64, DType.FLOAT64, DType.FLOAT32) if written else (*ANY, DType.FLOAT64)
    # From 1 on, because zero and a negative exponent give infinities
    # of which only float64 has all.
    binary(data, "float_power", kind, dtypes=dtypes, numbers=(2, 0.5, -1, 0, 3), low=1,
           limits=(-2, 3), zeros=False, tolerance=POWERS)  # fmt: skip


@covers("aten::lerp", "aten::lerp_", each={"weight": ["w", "number"], "written": ["", "_"]})
def test_lerp(weight: str, written: str, data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(3), label="shapes")
    dtype = data.draw(fwd.dtypes((*FLOATS, DType.INT32)), label="dtype")
    x = operand(data, "x", (dtype,), shapes[0])
    end = operand(data, "end", (dtype, dtype, DType.FLOAT32), shapes[1])
    w = operand(data, "w", (dtype, dtype, DType.FLOAT32), shapes[2], low=-0.5, high=1.5)
    given = number(data, "weight", (0.25, 0, 1, 0.5, 1.5)) if weight == "number" else "w"
    given = f"float({given})" if isinstance(given, int) and written else given
    check(data, f"x.clone().lerp{written}(end, {given})", x=x, end=end, w=w, may_raise=True,
          mixes=True)  # fmt: skip


@covers("aten::{name}", "aten::{name}_", name=["addcmul", "addcdiv"], each={"written": ["", "_"]})
def test_terms(name: str, written: str, data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(3), label="shapes")
    x = operand(data, "x", ANY, shapes[0])
    a, b = operand(data, "a", ANY, shapes[1]), operand(data, "b", ANY, shapes[2], zeros=False)
    value = number(data, "value", (1, 2, -0.5, 0))
    check(data, f"x.clone().{name}{written}(a, b, value={value})", x=x, a=a, b=b, may_raise=True)


@covers("aten::{name}", "aten::{name}_", name=["clamp_min", "clamp_max"], each={"kind": KINDS})
def test_bounds(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind, numbers=(2, -1, 0.5, 0), overload="default")
