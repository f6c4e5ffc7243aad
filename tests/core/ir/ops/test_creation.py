"""Types of operators without operands."""

from __future__ import annotations

import pytest
from values import B, H, kind

from fwd_core.errors import GraphError
from fwd_core.ir import DType, ops


def test_constant() -> None:
    assert ops.Constant("0" * 64, kind(2, 3)).infer() == kind(2, 3)


def test_dim_value() -> None:
    assert ops.DimValue(B).infer() == kind(dtype="int64")
    assert ops.DimValue(3, DType.INT32).infer() == kind(dtype="int32")
    with pytest.raises(
        GraphError, match="fwd.DimValue: sizes are int32 or int64\n  got:      float"
    ):
        ops.DimValue(B, DType.FLOAT32).infer()


def test_full() -> None:
    assert ops.Full((B, 3), 1.5, DType.BFLOAT16).infer() == kind(B, 3, dtype="bfloat16")
    assert ops.Full((), True, DType.BOOL).infer() == kind(dtype="bool")


def test_arange() -> None:
    assert ops.Arange(H).infer() == kind(H, dtype="int64")
    assert ops.Arange(3, 0.5, 0.25, DType.FLOAT32).infer() == kind(3)
    assert ops.Arange(3, B, 2).infer() == kind(3, dtype="int64")
    with pytest.raises(GraphError, match="fwd.Arange: numbers only\n  got:      bool"):
        ops.Arange(3, dtype=DType.BOOL).infer()


@pytest.mark.parametrize("op", [ops.Full((2, -1), 0, DType.INT8), ops.Arange(-1)])
def test_sizes_are_not_negative(op: ops.Full | ops.Arange) -> None:
    with pytest.raises(GraphError, match=f"{op.kind()}: a size is negative\n  got:      "):
        op.infer()
