"""Variances and standard deviations against eager torch."""

from __future__ import annotations

import numpy as np
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


#: Of numbers that differ by up to 8, whose squares are summed.
COVARIANCES = {
    DType.FLOAT32: Tolerance(1e-4, 2e-5, reason="differences of numbers that cancel"),
    DType.FLOAT16: Tolerance(2e-2, 5e-2, reason="torch rounds every step to float16"),
    DType.BFLOAT16: Tolerance(8e-2, 4e-1, reason="torch rounds every step to bfloat16"),
}


#: torch.export cannot look whether weights are 0, and does so without any.
FORMS = ["traced", "scripted"]


@covers("aten::cov", fixed={"fweights": "drawn in the next test", "aweights": "the same"},
        exported=False)  # fmt: skip
def test_cov(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 2, max_size=4) | fwd.shapes(2, 3, max_size=4), label="shape")
    correction = data.draw(st.sampled_from([0, 1, 2]), label="correction")
    x = operand(data, "x", (*FLOATS, DType.INT32, DType.BOOL), shape)
    call = f"torch.cov(x, correction={correction})"
    check(data, call, x=x, tolerance=COVARIANCES, may_raise=True, forms=FORMS)


@covers("aten::cov", each={"given": ["fweights=f", "aweights=a", "fweights=f, aweights=a"]},
        exported=False)  # fmt: skip
def test_weighted_cov(given: str, data: st.DataObject) -> None:
    rows, seen = (data.draw(st.integers(2, 4), label=one) for one in ("rows", "observations"))
    correction = data.draw(st.sampled_from([0, 1]), label="correction")
    inputs = {"x": operand(data, "x", (DType.FLOAT32, DType.INT64), (rows, seen))}
    if "f=" in given or "=f" in given:
        inputs["f"] = operand(data, "f", (DType.INT64, DType.INT32), (seen,), low=1)
    if "=a" in given:
        inputs["a"] = operand(data, "a", (DType.FLOAT32,), (seen,), low=0.5)
    call = f"torch.cov(x, correction={correction}, {given})"
    check(data, call, **inputs, tolerance=COVARIANCES, forms=FORMS)


@covers("aten::corrcoef", exported=False)
def test_corrcoef(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 2, max_size=4) | fwd.shapes(2, 3, max_size=4), label="shape")
    x = operand(data, "x", (DType.FLOAT32, DType.FLOAT32, DType.INT32, DType.BOOL), shape)
    # Apart from one another, or rounding decides whether the deviation is 0.
    if len(shape) and x.dtype != bool:
        x = x + np.arange(shape[-1], dtype=x.dtype) * (3 if x.dtype.kind == "f" else 9)
    check(data, "torch.corrcoef(x)", x=x, tolerance=COVARIANCES, may_raise=True, forms=FORMS)
