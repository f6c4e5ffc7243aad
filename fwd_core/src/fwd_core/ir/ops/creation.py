"""Operators that make tensors from nothing but attributes and sizes."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import TensorType


@operator
class Constant(Operator):
    """A tensor whose contents the graph holds under ``digest``. Made by ``Graph.constant``."""

    digest: str
    type: TensorType

    def infer(self) -> TensorType:
        return self.type


@operator
class DimValue(Operator):
    """A size as a 0-d tensor, where a model computes with a size."""

    dim: Dim
    dtype: DType = DType.INT64

    def infer(self) -> TensorType:
        if self.dtype not in check.INDICES:
            raise GraphError("fwd.DimValue: sizes are int32 or int64", got=self.dtype)
        return TensorType(self.dtype, ())


@operator
class Full(Operator):
    """A tensor of the shape with every element ``value``."""

    shape: tuple[Dim, ...]
    value: int | float | bool
    dtype: DType

    def infer(self) -> TensorType:
        check.require_sizes(self.kind(), *self.shape)
        return TensorType(self.dtype, self.shape)


@operator
class Arange(Operator):
    """``length`` numbers from ``start`` in steps of ``step``: [length].

    ``start`` and ``step`` may be sizes for integer dtypes.
    """

    length: Dim
    start: Dim | float = 0
    step: Dim | float = 1
    dtype: DType = DType.INT64

    def infer(self) -> TensorType:
        if self.dtype is DType.BOOL:
            raise GraphError("fwd.Arange: numbers only", got=self.dtype)
        check.require_sizes(self.kind(), self.length)
        return TensorType(self.dtype, (self.length,))
