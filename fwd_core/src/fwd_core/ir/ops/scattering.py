"""Operators that put elements at places that index tensors say. Out-of-range ones are undefined."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.dims import product
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.creation import Arange, DimValue
from fwd_core.ir.ops.elementwise import Add, Cast, Equal, Maximum, Minimum, Mul, Where
from fwd_core.ir.ops.reduction import ReduceMax, ReduceMin, ReduceProd, ReduceSum
from fwd_core.ir.ops.shape import Expand, Pad, Reshape, Slice, Squeeze, Unsqueeze
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

#: How what meets at one place is combined, with what was there before; ``none`` replaces it, and
#: which one stays of several is undefined.
Combination = Literal["none", "sum", "prod", "max", "min"]
_REDUCTIONS = {"sum": ReduceSum, "prod": ReduceProd, "max": ReduceMax, "min": ReduceMin}
_PAIRS = {"sum": Add, "prod": Mul, "max": Maximum, "min": Minimum}


@operator
class ScatterElements(Operator):
    """x with updates at the places that indices say along ``axis``, and their own elsewhere.

    x, indices and updates have one rank, indices and updates one shape, which may be smaller than
    x on other axes. Indices are int32 or int64 in 0 … n-1. With a combination x holds numbers,
    and integers wrap. ``aten::scatter``.
    """

    x: Value
    indices: Value
    updates: Value
    axis: int
    combination: Combination = "none"

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.indices, check.INDICES)
        check.require_same_dtype(self.kind(), self.x, self.updates)
        if self.combination != "none":
            check.require_dtype(self.kind(), self.x, check.NUMBERS)
        check.require_rank(self.kind(), self.indices, self.x.type.rank)
        check.require_rank(self.kind(), self.updates, self.x.type.rank)
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        shapes = (self.x.type.shape, self.indices.type.shape, self.updates.type.shape)
        for axis, (size, have, given) in enumerate(zip(*shapes, strict=True)):
            check.require_equal(f"{self.kind()} axis {axis}", have, given)
            if axis != self.axis and dim_facts.is_less(size, have) is True:
                raise GraphError(
                    f"{self.kind()}: more indices than elements on axis {axis}",
                    expected=f"at most {size}",
                    got=have,
                )
        return self.x.type

    def decompose(self, emit: Emitter) -> Value | None:
        """With a combination: every index against every place, and a reduction."""
        if self.combination == "none":
            return None
        axis, kind = self.axis, self.x.type
        size = kind.shape[axis]
        places = emit(Arange(size, dtype=self.indices.type.dtype), "places")
        column = emit(Unsqueeze(places, tuple(range(1, kind.rank - axis + 1))), "column")
        met = emit(Equal(emit(Unsqueeze(self.indices, (axis,))), column), "met")
        neutral = emit.constant(
            Tensor(np.array(_neutral(self.combination, kind.dtype))).astype(kind.dtype), "neutral"
        )
        apart = emit(Unsqueeze(self.updates, (axis,)), "apart")
        chosen = emit(Where(met, apart, neutral), "chosen")
        together = emit(_REDUCTIONS[self.combination](chosen, (axis + 1,), False), "together")
        after = tuple(
            0 if place == axis else want - have
            for place, (want, have) in enumerate(
                zip(kind.shape, self.indices.type.shape, strict=True)
            )
        )
        if any(one != 0 for one in after):
            value = _neutral(self.combination, kind.dtype)
            together = emit(Pad(together, (0,) * kind.rank, after, "constant", value), "padded")
        return emit(_PAIRS[self.combination](self.x, together), "scattered")


@operator
class ScatterND(Operator):
    """x with updates in place of the slices that index tuples say.

    The last axis of indices holds k coordinates: indices [*outer, k] and updates
    [*outer, *x.shape[k:]]. Indices are int32 or int64, not negative. With a combination x holds
    numbers, and integers wrap. ``aten::index_put``.
    """

    x: Value
    indices: Value
    updates: Value
    combination: Combination = "none"

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.indices, check.INDICES)
        check.require_same_dtype(self.kind(), self.x, self.updates)
        if self.combination != "none":
            check.require_dtype(self.kind(), self.x, check.NUMBERS)
        shape, picked = self.x.type.shape, self.indices.type.shape
        if not picked or not isinstance(picked[-1], int):
            raise GraphError(f"{self.kind()}: the number of coordinates must be fixed", got=picked)
        if not 1 <= picked[-1] <= len(shape):
            raise GraphError(
                f"{self.kind()}: coordinates for 1 … {len(shape)} axes", got=picked[-1]
            )
        wanted = (*picked[:-1], *shape[picked[-1] :])
        check.require_rank(f"{self.kind()} updates", self.updates, len(wanted))
        for axis, (want, have) in enumerate(zip(wanted, self.updates.type.shape, strict=True)):
            check.require_equal(f"{self.kind()} axis {axis} of updates", want, have)
        return self.x.type

    def decompose(self, emit: Emitter) -> Value:
        """ScatterElements of rows: coordinates as places in all indexed axes in a row."""
        kind, dtype = self.x.type, self.indices.type.dtype
        count = self.indices.type.shape[-1]
        assert isinstance(count, int), "infer() takes no other"
        indexed, rest = kind.shape[:count], product(kind.shape[count:])
        last = self.indices.type.rank - 1
        place: Value | None = None
        for axis in range(count):
            own = emit(Squeeze(emit(Slice(self.indices, last, axis, 1)), (last,)), "coordinate")
            if place is not None:
                size = emit(Cast(emit(DimValue(indexed[axis]), "size"), dtype))
                own = emit(Add(emit(Mul(place, size)), own), "place")
            place = own
        assert place is not None
        outer = product(place.type.shape)
        column = emit(Reshape(place, (outer, 1)), "column")
        wide = emit(Expand(column, (outer, rest)), "places")
        rows = emit(Reshape(self.x, (product(indexed), rest)), "rows")
        updates = emit(Reshape(self.updates, (outer, rest)), "updates")
        done = emit(ScatterElements(rows, wide, updates, 0, self.combination), "scattered")
        return emit(Reshape(done, kind.shape))


def _neutral(combination: Combination, dtype: DType) -> float:
    """What changes nothing that it is combined with."""
    if combination in ("sum", "prod"):
        return 0 if combination == "sum" else 1
    if dtype.is_float:
        return float("-inf") if combination == "max" else float("inf")
    low, high = dtype.limits
    return int(low if combination == "max" else high)
