"""Operators whose every element is of all elements before it on an axis, and itself."""

from __future__ import annotations

from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops import creation, elementwise, reduction, shape
from fwd_core.ir.types import TensorType


@operator
class CumSum(Operator):
    """The sums of the first 1, 2, … elements along one axis; integers wrap. ``aten::cumsum``."""

    x: Value
    axis: int

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.NUMBERS)
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        return self.x.type

    def decompose(self, emit: Emitter) -> Value:
        """Sums of rows that are zero past the diagonal."""
        rank, dtype = self.x.type.rank, self.x.type.dtype
        rest = [axis for axis in range(rank) if axis != self.axis]
        last = emit(shape.Transpose(self.x, (*rest, self.axis)), "last")
        places = emit(creation.Arange(self.x.type.shape[self.axis]), "places")
        down = emit(shape.Unsqueeze(places, (1,)), "down")
        counted = emit(elementwise.LessEqual(places, down), "counted")
        zero = emit(creation.Full((), 0.0 if dtype.is_float else 0, dtype), "zero")
        row = emit(shape.Unsqueeze(last, (rank - 1,)), "row")
        masked = emit(elementwise.Where(counted, row, zero), "masked")
        sums = emit(reduction.ReduceSum(masked, (rank,)), "sums")
        back = (*range(self.axis), rank - 1, *range(self.axis, rank - 1))
        return emit(shape.Transpose(sums, back), "cumsum")
