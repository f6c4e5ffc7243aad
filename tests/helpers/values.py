"""Operands without a graph around them, for the rules of ``infer()``."""

from __future__ import annotations

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, symbol

B = symbol("batch", 1, 2, 4)
H = symbol("h", 8, 16, 5000)


def value(*shape: Dim, dtype: DType | str = "float32") -> Value:
    """A value of that type."""
    return Graph().add_input("x", TensorType(DType.of(dtype), shape))


def kind(*shape: Dim, dtype: DType | str = "float32") -> TensorType:
    """A type."""
    return TensorType(DType.of(dtype), shape)
