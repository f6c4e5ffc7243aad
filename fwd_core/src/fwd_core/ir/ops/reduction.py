"""Operators that reduce axes to one element each."""

from __future__ import annotations

from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import Shape, TensorType


@operator
class Reduction(Operator, abstract=True):
    """Base of reductions of numbers over ``axes``; ``keepdims`` leaves them with size 1."""

    x: Value
    axes: tuple[int, ...]
    keepdims: bool = False

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.NUMBERS)
        return self.x.type.with_shape(self.reduced_shape())

    def reduced_shape(self) -> Shape:
        """The shape without the reduced axes, or with ones in their place."""
        check.require_axes(self.kind(), self.axes, self.x.type.rank)
        kept = enumerate(self.x.type.shape)
        if self.keepdims:
            return tuple(1 if axis in self.axes else dim for axis, dim in kept)
        return tuple(dim for axis, dim in kept if axis not in self.axes)


@operator
class ReduceSum(Reduction):
    """Sum over axes; integers wrap."""


@operator
class ReduceMean(Reduction):
    """Arithmetic mean over axes, of floats."""

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        return super().infer()


@operator
class ReduceMax(Reduction):
    """Greatest element over axes."""


@operator
class ReduceMin(Reduction):
    """Least element over axes."""


@operator
class ReduceProd(Reduction):
    """Product over axes; integers wrap."""


@operator
class BoolReduction(Reduction, abstract=True):
    """Base of reductions of bool; bool out."""

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.BOOL)
        return TensorType(DType.BOOL, self.reduced_shape())


@operator
class ReduceAny(BoolReduction):
    """Whether any element over axes is true."""


@operator
class ReduceAll(BoolReduction):
    """Whether all elements over axes are true."""
