"""Converters that make tensors, against eager torch: exactly equal."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, QUICK, check, covers, number, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT, Tolerance
from fwd_core.testing import strategies as fwd

WANTED = (*FLOATS, DType.INT64, DType.INT32, DType.UINT8, DType.BOOL)
VALUES = (0, 1, 2.5, -3, True)


def made(data: st.DataObject, call: str, tolerance: Tolerance = EXACT) -> None:
    """Made tensors are outputs beside x, so that the graph has an input; sizes follow from it."""
    shape = data.draw(fwd.shapes(1, 3), label="shape of x")
    x = operand(data, "x", ANY, shape)
    # TorchScript makes bool numbers integers, which eager torch does not.
    forms = ("exported",) if "True" in call else QUICK
    check(data, f"x, {call}", x=x, batch=["x"], tolerance=tolerance, may_raise=True,
          forms=forms)  # fmt: skip


def dtype(data: st.DataObject) -> str:
    given = data.draw(st.none() | fwd.dtypes(WANTED), label="dtype")
    return "None" if given is None else f"torch.{given}"


def sizes(data: st.DataObject) -> str:
    fixed = [str(size) for size in data.draw(fwd.shapes(0, 3, max_size=3), label="sizes")]
    if data.draw(st.booleans(), label="a size of x"):
        fixed.append("x.shape[0]")
    return f"[{', '.join(fixed)}]"


@covers("aten::{name}", name=["zeros", "ones"])
def test_zeros_and_ones(name: str, data: st.DataObject) -> None:
    made(data, f"torch.{name}({sizes(data)}, dtype={dtype(data)})")


@covers("aten::full")
def test_full(data: st.DataObject) -> None:
    value = number(data, "fill_value", VALUES)
    made(data, f"torch.full({sizes(data)}, {value}, dtype={dtype(data)})")


@covers("aten::new_zeros", "aten::new_ones")
def test_new(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["new_zeros", "new_ones"]), label="name")
    made(data, f"x.{name}({sizes(data)}, dtype={dtype(data)})")


@covers("aten::new_full")
def test_new_full(data: st.DataObject) -> None:
    value = number(data, "fill_value", VALUES)
    made(data, f"x.new_full({sizes(data)}, {value}, dtype={dtype(data)})")


@covers("aten::{name}", name=["zeros_like", "ones_like"])
def test_like(name: str, data: st.DataObject) -> None:
    made(data, f"torch.{name}(x, dtype={dtype(data)})")


@covers("aten::full_like")
def test_full_like(data: st.DataObject) -> None:
    made(data, f"torch.full_like(x, {number(data, 'fill_value', VALUES)}, dtype={dtype(data)})")


@covers("aten::scalar_tensor", each={"value": ["x.shape[0]", "2.5", "-3", "True"]})
def test_scalar_tensor(value: str, data: st.DataObject) -> None:
    made(data, f"torch.scalar_tensor({value}, dtype={dtype(data)})")


STEPS = Tolerance(1e-6, 1e-6, reason="start + i * step may be rounded once more")


def _quarters(number: int) -> float:
    return number / 4


@covers(
    "aten::arange",
    each={"bounds": ["sizes", "integers", "floats"], "given": ["end", "both", "step"]},
    without={"start": "TorchScript resolves it to start_step"},
    examples=2,
)
def test_arange(bounds: str, given: str, data: st.DataObject) -> None:
    whole = st.integers(-6, 6)
    sizes_of_x = st.sampled_from(["x.shape[0]", "x.shape[0] * 2 + 1", "3"])
    ends, starts, steps = {
        "sizes": (sizes_of_x, st.just(0), st.sampled_from([1, 2])),
        "integers": (whole, whole, st.sampled_from([1, 2, -1])),
        "floats": (whole.map(_quarters), whole.map(_quarters), st.sampled_from([0.5, -1.5])),
    }[bounds]
    end, start = data.draw(ends, label="end"), data.draw(starts, label="start")
    step = data.draw(steps, label="step")
    listed = {"end": [end], "both": [start, end], "step": [start, end, step]}[given]
    # torch.export fails for float bounds and integer dtypes.
    dtypes = (DType.FLOAT32, *((DType.INT64, DType.INT32) if bounds != "floats" else ()))
    wanted = data.draw(st.none() | fwd.dtypes(dtypes), label="dtype")
    kind = "None" if wanted is None else f"torch.{wanted}"
    made(data, f"torch.arange({', '.join(map(str, listed))}, dtype={kind})", tolerance=STEPS)
