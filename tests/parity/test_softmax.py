"""Softmax and its logarithm against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Of numbers up to 100 the logarithm is up to -200, where float16 is spaced by 1/8.
LOGARITHMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="exp and log of sums in another order"),
    DType.FLOAT16: Tolerance(2e-3, 1e-2, reason="rounded to float16 once more or less"),
    DType.BFLOAT16: Tolerance(2e-2, 3e-2, reason="rounded to bfloat16 once more or less"),
}
SPELLED = {"softmax": "torch.softmax(x, {})", "log_softmax": "torch.log_softmax(x, {})",
           "special_softmax": "torch.special.softmax(x, {})",
           "special_log_softmax": "torch.special.log_softmax(x, {})"}  # fmt: skip


@covers("aten::{name}", name=SPELLED, examples=1.5,
        each={"dtype": ["None", "torch.float32", "torch.float16"]})  # fmt: skip
def test_softmax(name: str, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    # Torch refuses integers, unless there are none.
    dtypes = FLOATS if 0 in shape else (*FLOATS, DType.INT32)
    logarithm = "log" in name
    # Torch rounds to half before, which is coarse for great numbers; OpenVINO does not.
    low, high = (-100, 100) if logarithm and dtype != "torch.float16" else (-4, 4)
    x = operand(data, "x", dtypes, shape, low=low, high=high)
    call = SPELLED[name].format(f"{axis}, dtype={dtype}")
    check(data, call, x=x, batch=["x"], tolerance=LOGARITHMS if logarithm else None, may_raise=True)


@covers("aten::{name}", name=["_softmax", "_log_softmax"],
        fixed={"half_to_float": "True is for CUDA only"})  # fmt: skip
def test_softmax_as_decomposed(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    x = operand(data, "x", FLOATS, shape)
    tolerance = LOGARITHMS if "log" in name else None
    check(data, f"torch.{name}(x, {axis}, False)", x=x, batch=["x"], tolerance=tolerance)
