"""Types of values."""

from __future__ import annotations

import pytest

from fwd_core.ir.dims import symbol
from fwd_core.ir.dtypes import DType
from fwd_core.ir.types import TensorType

B = symbol("batch", 1, 2, 4)


def test_printed_form() -> None:
    assert str(TensorType(DType.FLOAT32, (B, 3))) == "float32[batch, 3]"
    assert repr(TensorType(DType.BOOL, ())) == "bool[]"


def test_properties() -> None:
    fixed, dynamic = TensorType(DType.INT64, (2, 3)), TensorType(DType.INT64, (B, 3))
    assert (fixed.rank, fixed.numel, fixed.is_static, fixed.symbols) == (2, 6, True, [])
    assert dynamic.numel == 3 * B
    assert not dynamic.is_static
    assert [one.name for one in dynamic.symbols] == ["batch"]
    assert TensorType(DType.BOOL, ()).numel == 1


def test_static_shape() -> None:
    assert TensorType(DType.INT64, (2, 3)).static_shape() == (2, 3)
    with pytest.raises(ValueError, match=r"int64\[batch, 3\] is not static"):
        TensorType(DType.INT64, (B, 3)).static_shape()


def test_variants() -> None:
    kind = TensorType(DType.INT64, (B, 3))
    assert kind.with_dtype(DType.INT64) is kind
    assert kind.with_dtype(DType.BOOL) == TensorType(DType.BOOL, (B, 3))
    assert kind.with_shape([3, B]) == TensorType(DType.INT64, (3, B))
