from __future__ import annotations

import pytest

from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.types import HELD, binding_type, compute_type
from fwd_core.ir import DType

EIGHT, TEN = ROWS["tensorrt", "8.6.0"], ROWS["tensorrt", "10.13.3.9"]

#: dtype: (computed and bound since 10, computed and bound on 8).
TABLE = {
    DType.FLOAT64: (("FLOAT", "FLOAT"), ("FLOAT", "FLOAT")),
    DType.FLOAT32: (("FLOAT", "FLOAT"), ("FLOAT", "FLOAT")),
    DType.FLOAT16: (("HALF", "HALF"), ("HALF", "HALF")),
    DType.BFLOAT16: (("BF16", "BF16"), ("FLOAT", "FLOAT")),
    DType.INT64: (("INT64", "INT64"), ("INT32", "INT32")),
    DType.INT32: (("INT32", "INT32"), ("INT32", "INT32")),
    DType.INT16: (("INT32", "INT32"), ("INT32", "INT32")),
    DType.INT8: (("INT32", "INT8"), ("INT32", "INT32")),
    DType.UINT8: (("INT32", "UINT8"), ("INT32", "INT32")),
    DType.BOOL: (("BOOL", "BOOL"), ("BOOL", "BOOL")),
}


@pytest.mark.parametrize("dtype", DType, ids=str)
def test_types_inside_and_at_the_edges(dtype: DType) -> None:
    new, old = TABLE[dtype]
    assert (compute_type(dtype, TEN), binding_type(dtype, TEN)) == new
    assert (compute_type(dtype, EIGHT), binding_type(dtype, EIGHT)) == old
    assert {*new, *old} <= set(HELD)
