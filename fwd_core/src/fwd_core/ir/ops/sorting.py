"""Operators that order the elements of an axis."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops import creation, elementwise, indexing, reduction, shape
from fwd_core.ir.types import TensorType


@operator
class TopK(Operator):
    """The ``k`` greatest (or least) elements of one axis in order, and their int64 places.

    A NaN is greater than every number. Of equal elements the first come first if ``stable``, else
    in any order. With ``k`` the size of the axis it sorts. ``aten::topk``, ``aten::sort``.
    """

    x: Value
    k: Dim
    axis: int
    largest: bool = True
    stable: bool = False

    def infer(self) -> tuple[TensorType, TensorType]:
        check.require_dtype(self.kind(), self.x, check.NUMBERS)
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        check.require_sizes(self.kind(), self.k)
        sizes = self.x.type.shape
        if dim_facts.is_less(sizes[self.axis], self.k) is True:
            raise GraphError(
                f"{self.kind()}: more elements than there are",
                expected=f"at most {sizes[self.axis]}",
                got=self.k,
            )
        result = (*sizes[: self.axis], self.k, *sizes[self.axis + 1 :])
        return self.x.type.with_shape(result), TensorType(DType.INT64, result)

    def decompose(self, emit: Emitter) -> tuple[Value, Value]:
        """Stable. For more than one element every element is compared with every other."""
        return self._one(emit) if self.k == 1 else self._many(emit)

    def _one(self, emit: Emitter) -> tuple[Value, Value]:
        reduce = reduction.ReduceMax if self.largest else reduction.ReduceMin
        best = emit(reduce(self.x, (self.axis,), keepdims=True), "best")
        found = emit(elementwise.Equal(self.x, best), "found")
        if self.x.type.dtype.is_float:
            nan = emit(elementwise.NotEqual(self.x, self.x), "nan")
            found = emit(elementwise.Or(found, nan), "found")
        size = self.x.type.shape[self.axis]
        behind = tuple(range(1, self.x.type.rank - self.axis))
        places = emit(shape.Unsqueeze(emit(creation.Arange(size), "arange"), behind), "places")
        past = emit(creation.DimValue(size), "past")
        candidates = emit(elementwise.Where(found, places, past), "candidates")
        first = emit(reduction.ReduceMin(candidates, (self.axis,), keepdims=True), "first")
        return best, first

    def _many(self, emit: Emitter) -> tuple[Value, Value]:
        rank, sizes = self.x.type.rank, self.x.type.shape
        rest = [axis for axis in range(rank) if axis != self.axis]
        last = emit(shape.Transpose(self.x, (*rest, self.axis)), "last")
        one = emit(shape.Unsqueeze(last, (rank,)), "one")
        other = emit(shape.Unsqueeze(last, (rank - 1,)), "other")
        places = emit(creation.Arange(sizes[self.axis]), "places")
        down = emit(shape.Unsqueeze(places, (1,)), "down")
        compare = elementwise.Greater if self.largest else elementwise.Less
        earlier = emit(elementwise.Less(places, down), "earlier")
        beyond = emit(compare(other, one), "beyond")
        same = emit(elementwise.Equal(other, one), "same")
        if last.type.dtype.is_float:
            beyond, same = self._with_nan(emit, last, beyond, same)
        ties = emit(elementwise.And(same, earlier), "ties")
        before = emit(elementwise.Or(beyond, ties), "before")
        counted = emit(elementwise.Cast(before, DType.INT64), "counted")
        order = emit(reduction.ReduceSum(counted, (rank,)), "order")
        wanted = emit(shape.Unsqueeze(emit(creation.Arange(self.k), "ranks"), (1,)), "wanted")
        row = emit(shape.Unsqueeze(order, (rank - 1,)), "row")
        chosen = emit(elementwise.Equal(row, wanted), "chosen")
        none = emit(creation.Full((), 0, DType.INT64), "none")
        picked = emit(elementwise.Where(chosen, places, none), "picked")
        found = emit(reduction.ReduceSum(picked, (rank,)), "found")
        back = [*range(self.axis), rank - 1, *range(self.axis, rank - 1)]
        index = emit(shape.Transpose(found, tuple(back)), "index")
        return emit(indexing.GatherElements(self.x, index, self.axis), "values"), index

    def _with_nan(
        self, emit: Emitter, last: Value, beyond: Value, same: Value
    ) -> tuple[Value, Value]:
        """What comes before what, and what ties, where comparisons leave NaN out."""
        rank = last.type.rank
        nan = emit(elementwise.NotEqual(last, last), "nan")
        number = emit(elementwise.Not(nan), "number")
        one, other = (nan, number) if not self.largest else (number, nan)
        one = emit(shape.Unsqueeze(one, (rank,)), "one_kind")
        other = emit(shape.Unsqueeze(other, (rank - 1,)), "other_kind")
        beyond = emit(elementwise.Or(beyond, emit(elementwise.And(one, other), "apart")), "beyond")
        down, along = (emit(shape.Unsqueeze(nan, (axis,)), "nan") for axis in (rank, rank - 1))
        both = emit(elementwise.And(down, along), "both")
        return beyond, emit(elementwise.Or(same, both), "same")
