"""Variances and standard deviations against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Of one number less a correction of one: torch gives NaN and says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0:UserWarning")
#: Numbers up to 4, so variances up to 16, of few numbers.
MOMENTS = {
    DType.FLOAT32: Tolerance(1e-4, 1e-5, reason="differences of numbers that cancel"),
    DType.FLOAT16: Tolerance(1e-2, 2e-3, reason="rounded once to float16"),
    DType.BFLOAT16: Tolerance(2e-2, 1e-2, reason="rounded once to bfloat16"),
}
NAMES = ["var", "std", "var_mean", "std_mean"]
CALLS = [
    "torch.{name}(x)",
    "torch.{name}(x, {unbiased})",
    "torch.{name}(x, {dims}, {unbiased}, {keepdim})",
    "torch.{name}(x, {dims}, correction={correction}, keepdim={keepdim})",
]


@covers("aten::{name}", name=NAMES, each={"call": CALLS})
def test_moments(name: str, call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=4), label="shape")
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    unbiased, keepdim = (data.draw(st.booleans(), label=one) for one in ("unbiased", "keepdim"))
    correction = data.draw(st.sampled_from([None, 0, 1, 2, 0.5]), label="correction")
    dtypes = (*FLOATS, DType.INT32) if data.draw(st.integers(0, 9), label="any") == 9 else FLOATS
    x = operand(data, "x", dtypes, shape)
    spelled = call.format(name=name, dims=list(axes), unbiased=unbiased, keepdim=keepdim,
                          correction=correction)  # fmt: skip
    check(data, spelled, x=x, batch=["x"], tolerance=MOMENTS, may_raise=True)
