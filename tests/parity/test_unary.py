"""Converters of functions of one tensor against eager torch."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, INTEGERS, covers, number, plugins
from parity_unary import call_of, unary, written_or_not

from fwd_core.ir import DType
from fwd_core.testing import assert_parity
from fwd_core.testing.compare import Tolerance
from fwd_ops_torch.testing import module_from_source

#: Function and the numbers that it is drawn on.
FLOAT_UNARY = {
    "exp": (-4, 4),
    "exp2": (-4, 4),
    "expm1": (-1, 4),
    "log": (-1, 4),
    "log1p": (-1.5, 4),
    "log2": (-1, 4),
    "log10": (-1, 4),
    "sqrt": (-1, 4),
    "rsqrt": (-1, 4),
    "reciprocal": (-4, 4),
    "erf": (-4, 4),
    "erfc": (-4, 4),
    "erfinv": (-1.05, 1.05),
    "sin": (-4, 4),
    "cos": (-4, 4),
    "tan": (-4, 4),
    "asin": (-1.1, 1.1),
    "acos": (-1.1, 1.1),
    "atan": (-4, 4),
    "sinh": (-4, 4),
    "cosh": (-4, 4),
    "tanh": (-4, 4),
    "asinh": (-4, 4),
    "acosh": (0.5, 4),
    "atanh": (-1.1, 1.1),
    "deg2rad": (-400, 400),
    "rad2deg": (-4, 4),
}
#: Other names for functions above and below, and the numbers that they are drawn on.
ALIASES = {
    "arcsin": (-1.1, 1.1),
    "arccos": (-1.1, 1.1),
    "arctan": (-4, 4),
    "arcsinh": (-4, 4),
    "arccosh": (0.5, 4),
    "arctanh": (-1.1, 1.1),
    "absolute": (-4, 4),
    "negative": (-4, 4),
    "fix": (-4, 4),
    "sgn": (-4, 4),
}
SPECIAL = ("exp2", "expm1", "log1p", "erf", "erfc", "erfinv", "ndtr", "sinc", "entr")


@covers("aten::{name}", "aten::{name}_", name=FLOAT_UNARY, each={"written": [False, True]})
def test_float_functions(name: str, written: bool, data: st.DataObject) -> None:
    # Integers cannot hold the result of a form in place: tried now and then.
    dtypes = (*FLOATS, DType.INT32) if written else (*FLOATS, *INTEGERS, DType.BOOL)
    unary(data, written_or_not(name, written), dtypes, FLOAT_UNARY[name])


@covers("aten::{name}", "aten::{name}_", name=ALIASES, each={"written": [False, True]})
def test_aliases(name: str, written: bool, data: st.DataObject) -> None:
    unary(data, written_or_not(name, written), limits=ALIASES[name])


@covers("aten::special_{name}", name=SPECIAL)
def test_special_functions(name: str, data: st.DataObject) -> None:
    unary(data, f"torch.ops.aten.special_{name}(x)", limits=(-0.9, 3), tolerance=SINC_OF.get(name))


@covers(
    "aten::{name}", "aten::{name}_",
    name=["abs", "neg", "floor", "ceil", "trunc", "frac", "sign", "square"],
    each={"written": [False, True]},
)  # fmt: skip
def test_number_functions(name: str, written: bool, data: st.DataObject) -> None:
    unary(data, written_or_not(name, written))


#: Torch rounds pi x to the dtype before it takes the sine, whose error is then divided by pi x.
SINC = {
    DType.FLOAT16: Tolerance(4e-3, 4e-3, reason="pi x is rounded to float16 by torch"),
    DType.BFLOAT16: Tolerance(3e-2, 3e-2, reason="pi x is rounded to bfloat16 by torch"),
}
SINC_OF = {"sinc": SINC}


@covers("aten::sinc", "aten::sinc_")
def test_sinc(data: st.DataObject) -> None:
    unary(data, call_of(data, "sinc"), tolerance=SINC)


@covers("aten::round", "aten::round_", each={"written": [False, True], "decimals": [False, True]})
def test_round(written: bool, decimals: bool, data: st.DataObject) -> None:
    if not decimals:
        unary(data, written_or_not("round", written), limits=(-6, 6))
        return
    given = number(data, "decimals", (0, 1, 2, 4, -1, -2))
    # Torch rounds the scaled number to a half dtype before it rounds it to a whole one.
    dtypes = (DType.FLOAT32, DType.INT64) if given else (*FLOATS, DType.INT64, DType.BOOL)
    unary(data, written_or_not("round", written, f"decimals={given}"), dtypes, (-60, 60))


@covers("aten::special_round")
def test_special_round(data: st.DataObject) -> None:
    given = number(data, "decimals", (0, 1, -1))
    unary(data, f"torch.special.round(x, decimals={given})",
          (DType.FLOAT32, DType.INT64, DType.BOOL), (-60, 60))  # fmt: skip


TESTS = (
    "signbit",
    "isnan",
    "isinf",
    "isfinite",
    "isposinf",
    "isneginf",
    "isreal",
    "positive",
    "angle",
)


@covers("aten::{name}", name=TESTS)
def test_questions(name: str, data: st.DataObject) -> None:
    # 1 / 0 and 0 / 0 are infinities and NaN, computed as the engine runs.
    # The sign of 0 / 0 differs from machine to machine.
    sources = ("x", "1 / x", "x / x")[: 2 if name == "signbit" else 3]
    unary(data, f"torch.ops.aten.{name}({number(data, 'source', sources)})")


REAL = {
    "real": "torch.real(x)",
    "conj": "torch.conj(x)",
    "conj_physical": "torch.ops.aten.conj_physical(x)",
    "conj_physical_": "torch.ops.aten.conj_physical_(x.clone())",
    "resolve_conj": "torch.resolve_conj(x)",
    "resolve_neg": "torch.resolve_neg(x)",
}


@covers("aten::{name}", name=REAL)
def test_as_it_is(name: str, data: st.DataObject) -> None:
    unary(data, REAL[name])


@covers("aten::nan_to_num", "aten::nan_to_num_")
def test_nan_to_num(data: st.DataObject) -> None:
    nan, posinf, neginf = (number(data, name, (None, 2, -1.5)) for name in ("nan", "posinf", "neg"))
    call = call_of(data, "nan_to_num", f"{nan}, {posinf}, {neginf}")
    source = number(data, "source", ("x = x", "x = 1 / x", "x = x / x"))
    unary(data, f"{source}\nreturn {call}")


@covers("aten::logit", "aten::logit_")
def test_logit(data: st.DataObject) -> None:
    eps = number(data, "eps", (None, 0.1, 0, 0.7))
    unary(data, call_of(data, "logit", str(eps)), limits=(-0.1, 1.1), tolerance=LOGIT)


@covers("aten::special_logit")
def test_special_logit(data: st.DataObject) -> None:
    eps = number(data, "eps", (None, 0.1))
    unary(data, f"torch.special.logit(x, {eps})", limits=(-0.1, 1.1), tolerance=LOGIT)


LOGIT = {
    DType.FLOAT16: Tolerance(8e-3, 8e-3, reason="1 - eps is rounded to float16 by torch or not"),
}
SPECIAL_NUMBERS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0,
                   1e-30, -1e-30, 1e38, -1e38, 2e9, -2e9, 8388609.0, 88.0, -200.0]  # fmt: skip
OF_SPECIAL_NUMBERS = (
    *("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "nan_to_num", "sign"),
    *("round", "trunc", "frac", "floor", "ceil", "square", "logit", "deg2rad", "rad2deg"),
    *("tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "sinc"),
    *("angle", "exp2", "expm1", "log1p", "log2", "log10", "erf", "erfc", "erfinv"),
)


@pytest.mark.parametrize("name", OF_SPECIAL_NUMBERS)
def test_special_numbers(name: str) -> None:
    """Infinities, NaN, both zeros and extremes, of an input and of a computed value."""
    x = np.array(SPECIAL_NUMBERS, np.float32)
    module = module_from_source(f"[torch.{name}(x), torch.{name}(x * 1.5)]", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins())


#: Where a function is nearly its argument, or nearly 1, digits are lost first.
NEAR_ZERO = ("expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh",
             "cosh", "exp2", "cos", "sinc", "erfinv")  # fmt: skip
TINY = Tolerance(1e-6, 1e-12, reason="relative to the result, however small that is")


@pytest.mark.parametrize("name", NEAR_ZERO)
def test_near_zero(name: str) -> None:
    magnitudes = np.geomspace(1e-9, 0.9, 4000)
    x = np.concatenate([magnitudes, -magnitudes]).astype(np.float32)
    module = module_from_source(f"torch.{name}(x)", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins(), tolerance=TINY)
