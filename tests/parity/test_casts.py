"""Casts against eager torch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd

pytestmark = pytest.mark.filterwarnings("ignore::fwd_core.rewrite.precision.PrecisionWarning")


def taken(data: st.DataObject, wanted: DType, shape: tuple[int, ...]) -> object:
    """An array to cast; floats below 0 are undefined in uint8."""
    low, high = (0, 255) if wanted is DType.UINT8 else (-300, 300)
    dtype = data.draw(fwd.dtypes(ANY), label="dtype of x")
    if dtype.is_float and wanted in (DType.INT8, DType.UINT8):
        low, high = max(low, -128), min(high, 127)  # beyond it floats are undefined
    return operand(data, "x", (dtype,), shape, low=low, high=high)


@covers("aten::to", each={"call": [
    "x.to({dtype})", "x.to({dtype}, copy=True)", "x.to('cpu')", "x.to('cpu', {dtype})", "x.to(z)",
    "torch.ops.aten.to.dtype_layout(x, dtype={dtype}, device='cpu')",
]}, without={
    "prim_Device": "TorchScript resolves it to device or dtype_layout",
    "prim_dtype": "TorchScript resolves it to dtype",
    "prim_other": "it changes nothing",
})  # fmt: skip
def test_to(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    wanted = data.draw(fwd.dtypes(ANY), label="dtype")
    z = operand(data, "z", (wanted,), ())
    check(data, call.format(dtype=f"torch.{wanted}"), x=taken(data, wanted, shape), z=z)


@covers("aten::_to_copy", "aten::type_as", "prims::convert_element_type", examples=1.5)
def test_casts(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    wanted = data.draw(fwd.dtypes(ANY), label="dtype")
    z = operand(data, "z", (wanted,), ())
    calls = ["x.type_as(z)", f"torch.ops.aten._to_copy(x, dtype=torch.{wanted})",
             "torch.ops.aten._to_copy(x)",
             f"torch.ops.prims.convert_element_type(x, torch.{wanted})"]  # fmt: skip
    check(data, data.draw(st.sampled_from(calls)), x=taken(data, wanted, shape), z=z)


#: Methods that cast, which torch writes as operators or as these.
METHODS = {
    "float": DType.FLOAT32, "double": DType.FLOAT64, "half": DType.FLOAT16,
    "bfloat16": DType.BFLOAT16, "long": DType.INT64, "int": DType.INT32, "short": DType.INT16,
    "char": DType.INT8, "byte": DType.UINT8, "bool": DType.BOOL,
}  # fmt: skip


@covers("aten::to", each={"method": METHODS}, without=dict.fromkeys(
    ("device", "dtype_layout", "other", "prim_Device", "prim_dtype", "prim_other"), "see test_to"
), fixed=dict.fromkeys(("copy", "non_blocking", "memory_format"), "see test_to"))  # fmt: skip
def test_methods(method: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    check(data, f"x.{method}()", x=taken(data, METHODS[method], shape), batch=["x"])


OLD = {"Byte": DType.UINT8, "Char": DType.INT8, "Short": DType.INT16, "Int": DType.INT32,
       "Long": DType.INT64, "Half": DType.FLOAT16, "Float": DType.FLOAT32,
       "Double": DType.FLOAT64}  # fmt: skip


@covers("aten::_cast_{name}", name=OLD)
def test_old_casts(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    x = taken(data, OLD[name], shape)
    check(data, f"torch.ops.aten._cast_{name}(x, False)", x=x, batch=["x"])
