"""Numbers in 8 bits and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from values import B, kind

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Graph, TensorType, Value, ops


def _constant(numbers: Any, dtype: Any = np.float32) -> Value:
    return Graph().constant(np.array(numbers, dtype))


def _x(*shape: Any, dtype: DType = DType.FLOAT32) -> Value:
    return Graph().add_input("x", TensorType(dtype, shape))


def test_types() -> None:
    x, one, several = _x(B, 3, 4), _constant(0.5), _constant([1, 2, 3])
    assert ops.Quantize(x, one).infer() == TensorType(DType.INT8, (B, 3, 4))
    assert ops.Quantize(x, several, axis=1).infer() == TensorType(DType.INT8, (B, 3, 4))
    wide = ops.Quantize(x, one, _constant(3, np.int32), low=0, high=255, dtype=DType.UINT8)
    assert wide.infer() == TensorType(DType.UINT8, (B, 3, 4))
    q = _x(B, 3, dtype=DType.INT8)
    assert ops.Dequantize(q, one).infer() == kind(B, 3)
    half = ops.Dequantize(q, several, axis=1, dtype=DType.FLOAT16)
    assert half.infer() == TensorType(DType.FLOAT16, (B, 3))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ops.Quantize(_x(2, dtype=DType.INT32), _constant(1)), "element type not taken"),
        (lambda: ops.Quantize(_x(2), _constant(1), dtype=DType.INT32), "gives int8 or uint8"),
        (lambda: ops.Quantize(_x(2), _constant(1), low=0, high=255), "bounds within int8"),
        (lambda: ops.Quantize(_x(2), _constant(1), low=3, high=3), "low before high"),
        (lambda: ops.Quantize(_x(2), _constant([1, 1])), "wrong rank"),
        (lambda: ops.Quantize(_x(2), _constant(1), axis=0), "wrong rank"),
        (lambda: ops.Quantize(_x(2), _constant([1, 1, 1]), axis=0), "sizes differ"),
        (lambda: ops.Quantize(_x(2), _constant([1, 1]), axis=1), "no such axis"),
        (lambda: ops.Quantize(_x(2), _constant(0)), "greater than 0\n  got:      0.0 … 0.0"),
        (lambda: ops.Quantize(_x(2), _constant(np.inf)), "finite and greater than 0"),
        (
            lambda: ops.Quantize(_x(2), _constant(1), _constant([1, 1], np.int32)),
            "zero_point has the shape of scale",
        ),
        (lambda: ops.Quantize(_x(2), _constant(1), _constant(1)), "element type not taken"),
        (lambda: ops.Dequantize(_x(2), _constant(1)), "element type not taken"),
        (
            lambda: ops.Dequantize(_x(2, dtype=DType.INT8), _constant(1), dtype=DType.INT32),
            "gives floats",
        ),
    ],
)
def test_refused(make: Any, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        make().infer()
