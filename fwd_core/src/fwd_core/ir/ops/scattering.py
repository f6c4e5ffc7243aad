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
from fwd_core.ir.ops.creation import Arange, DimValue, Full
from fwd_core.ir.ops.elementwise import (
    Add,
    Cast,
    Equal,
    Less,
    Maximum,
    Minimum,
    Mul,
    Not,
    Where,
)
from fwd_core.ir.ops.indexing import GatherElements
from fwd_core.ir.ops.reduction import ReduceMax, ReduceMin, ReduceProd, ReduceSum
from fwd_core.ir.ops.shape import Expand, Pad, Reshape, Slice, Squeeze, Unsqueeze
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

#: How what meets at one place is combined, with what was there before; ``none`` replaces it, and
#: which one stays of several is undefined.
Combination = Literal["none", "sum", "prod", "max", "min"]
_REDUCTIONS = {"sum": ReduceSum, "prod": ReduceProd, "max": ReduceMax, "min": ReduceMin}
#: What changes nothing that it is combined with.
_NEUTRAL = {"sum": 0, "prod": 1}
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

    def decompose(self, emit: Emitter) -> Value:
        """Every index against every place, and a reduction; without one the last index stays."""
        if 0 in self.indices.type.shape:
            return self.x
        axis, kind, dtype = self.axis, self.x.type, self.indices.type.dtype
        met = self._met(emit)
        if self.combination != "none":
            apart = emit(Unsqueeze(self.updates, (axis,)), "apart")
            own = self._covered(emit)
            if self.combination in _NEUTRAL:
                neutral = _number(emit, _NEUTRAL[self.combination], kind.dtype, "neutral")
            else:  # the least numbers of integers are not there on every backend
                neutral = emit(Unsqueeze(own, (axis + 1,)), "own")
            chosen = emit(Where(met, apart, neutral), "chosen")
            together = emit(_REDUCTIONS[self.combination](chosen, (axis + 1,), False), "together")
            changed = emit(_PAIRS[self.combination](own, together), "changed")
            if changed.type.shape == kind.shape:
                return changed
            covered = self._whole(emit, emit(Full(changed.type.shape, True, DType.BOOL)), False)
            return emit(Where(covered, self._whole(emit, changed, 0), self.x))
        turns = emit(Arange(self.indices.type.shape[axis], dtype=dtype), "turns")
        numbered = emit(Unsqueeze(turns, tuple(range(1, kind.rank - axis))), "numbered")
        none, zero = (_number(emit, value, dtype, "turn") for value in (-1, 0))
        chosen = emit(Where(met, numbered, none), "chosen")
        last = emit(ReduceMax(chosen, (axis + 1,)), "last")
        found = emit(GatherElements(self.updates, emit(Maximum(last, zero)), axis), "found")
        taken = self._whole(emit, emit(Not(emit(Less(last, zero)))), False)
        return emit(Where(taken, self._whole(emit, found, 0), self.x))

    def _met(self, emit: Emitter) -> Value:
        """Which place, along the axis, is the one of which index, along the next."""
        places = emit(Arange(self.x.type.shape[self.axis], dtype=self.indices.type.dtype), "places")
        column = emit(Unsqueeze(places, tuple(range(1, self.x.type.rank - self.axis + 1))))
        return emit(Equal(emit(Unsqueeze(self.indices, (self.axis,))), column), "met")

    def _covered(self, emit: Emitter) -> Value:
        """The part of x that the indices cover on other axes than theirs."""
        part = self.x
        for axis, have in enumerate(self.indices.type.shape):
            if axis != self.axis and have != part.type.shape[axis]:
                part = emit(Slice(part, axis, 0, have), "covered")
        return part

    def _whole(self, emit: Emitter, part: Value, filling: float) -> Value:
        """What the indices cover, padded to the shape of x."""
        sizes = zip(self.x.type.shape, part.type.shape, strict=True)
        after = tuple(want - have for want, have in sizes)
        if all(one == 0 for one in after):
            return part
        return emit(Pad(part, (0,) * len(after), after, "constant", filling), "whole")


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


def _number(emit: Emitter, number: float, dtype: DType, name: str) -> Value:
    return emit.constant(Tensor(np.array(number)).astype(dtype), name)
