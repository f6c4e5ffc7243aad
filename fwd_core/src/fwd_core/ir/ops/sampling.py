"""Operators that read a tensor at positions which are data."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim, product
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.creation import DimValue
from fwd_core.ir.ops.elementwise import (
    Add,
    And,
    Cast,
    Div,
    Equal,
    GreaterEqual,
    LessEqual,
    Maximum,
    Minimum,
    Mul,
    Sub,
    Where,
)
from fwd_core.ir.ops.indexing import GatherND
from fwd_core.ir.ops.resize import FAR, NEAR, polynomial
from fwd_core.ir.ops.shape import Reshape, Slice, Squeeze, Transpose, Unsqueeze
from fwd_core.ir.ops.unary import Abs, Floor, Round
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

#: A neighbour along one axis: its place as a whole float32, and its weight.
Neighbour = tuple[Value, Value]


@operator
class GridSample(Operator):
    """x read at the positions of a grid: [N, C, *in], [N, *out, D] -> [N, C, *out], D = 2 or 3.

    The last axis of the grid holds coordinates, that of the last axis of x first, -1 … 1 from
    one edge to the other: from the centres of the first and last elements with
    ``align_corners``, else from their outer edges. ``linear`` weighs the nearest elements of
    each axis, ``cubic`` (D = 2) four of them with coefficient -0.75, ``nearest`` reads one (ties
    to even). What is outside is zero (``zeros``), the edge (``border``), or mirrored at the edges
    that -1 and 1 stand for (``reflection``). One float dtype. ``aten::grid_sampler``.
    """

    x: Value
    grid: Value
    mode: Literal["linear", "nearest", "cubic"]
    padding_mode: Literal["zeros", "border", "reflection"]
    align_corners: bool

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        check.require_same_dtype(self.kind(), self.x, self.grid)
        check.require_rank(self.kind(), self.x, (4, 5))
        check.require_rank(f"{self.kind()} grid", self.grid, self.x.type.rank)
        spatial = self.x.type.rank - 2
        check.require_equal(f"{self.kind()} coordinates", spatial, self.grid.type.shape[-1])
        check.require_equal(f"{self.kind()} batch", self.x.type.shape[0], self.grid.type.shape[0])
        if self.mode == "cubic" and spatial != 2:
            raise GraphError(f"{self.kind()}: cubic needs two spatial axes", got=self.x.type)
        return self.x.type.with_shape((*self.x.type.shape[:2], *self.grid.type.shape[1:-1]))

    def decompose(self, emit: Emitter) -> Value:
        batch, channels, *sizes = self.x.type.shape
        places = self.grid.type.shape[1:-1]
        count, spatial = product(places), len(sizes)
        last = tuple(range(2, 2 + spatial))
        rows = emit(Transpose(self.x, (0, *last, 1)), "rows")
        rows = emit(Reshape(rows, (batch, product(sizes), channels)), "rows")
        grid = emit(Cast(self.grid, DType.FLOAT32), "grid")
        grid = emit(Reshape(grid, (batch, count, spatial)), "grid")
        axes = [
            self._neighbours(emit, self._coordinate(emit, grid, spatial - 1 - axis), size)
            for axis, size in enumerate(sizes)
        ]
        total: Value | None = None
        for chosen in itertools.product(*axes):
            index, weight = self._combined(emit, chosen, sizes)
            index = emit(Unsqueeze(index, (2,)), "index")
            taken = emit(GatherND(rows, index, 1), "taken")
            weight = emit(Unsqueeze(emit(Cast(weight, self.x.type.dtype)), (2,)), "weight")
            part = emit(Mul(taken, weight), "part")
            total = part if total is None else emit(Add(total, part), "sum")
        assert total is not None, "every axis has a neighbour"
        return emit(Reshape(emit(Transpose(total, (0, 2, 1))), (batch, channels, *places)))

    def _coordinate(self, emit: Emitter, grid: Value, place: int) -> Value:
        return emit(Squeeze(emit(Slice(grid, 2, place, 1), "column"), (2,)), "coordinate")

    def _neighbours(self, emit: Emitter, given: Value, size: Dim) -> list[Neighbour]:
        """The elements to read along an axis, [N, out]: those in range, or weighing nothing."""
        position = self._position(emit, given, size)
        if self.mode != "cubic":
            position = self._inside(emit, position, size)
        if self.mode == "nearest":
            return [
                self._in_range(emit, emit(Round(position), "rounded"), _number(emit, 1.0), size)
            ]
        lowest = emit(Floor(position), "lowest")
        t = emit(Sub(position, lowest), "rest")
        u = emit(Sub(_number(emit, 1.0), t), "other_rest")
        listed = [(0.0, u), (1.0, t)]
        if self.mode == "cubic":
            listed = [
                (-1.0, polynomial(emit, t, *FAR)),
                (0.0, polynomial(emit, t, *NEAR)),
                (1.0, polynomial(emit, u, *NEAR)),
                (2.0, polynomial(emit, u, *FAR)),
            ]
        found = []
        for offset, weight in listed:
            place = emit(Add(lowest, _number(emit, offset)), "place")
            if self.mode == "cubic":
                place = self._inside(emit, place, size)
            found.append(self._in_range(emit, place, weight, size))
        return found

    def _position(self, emit: Emitter, given: Value, size: Dim) -> Value:
        """From -1 … 1 to elements of the axis."""
        half = _number(emit, 0.5)
        span = _size(emit, size - 1 if self.align_corners else size)
        shifted = emit(Mul(emit(Add(given, _number(emit, 1.0)), "shifted"), span), "shifted")
        scaled = emit(Mul(shifted, half), "position")
        return scaled if self.align_corners else emit(Sub(scaled, half), "position")

    def _inside(self, emit: Emitter, position: Value, size: Dim) -> Value:
        """What is beyond the edges brought inside, unless that counts as zero."""
        if self.padding_mode == "zeros":
            return position
        if self.padding_mode == "reflection":
            if self.align_corners and size == 1:
                position = emit(Mul(position, _number(emit, 0.0)), "position")
            else:
                position = self._reflected(emit, position, size)
        least = emit(Maximum(position, _number(emit, 0.0)), "least")
        return emit(Minimum(least, _size(emit, size - 1)), "inside")

    def _reflected(self, emit: Emitter, position: Value, size: Dim) -> Value:
        low = _number(emit, 0.0 if self.align_corners else -0.5)
        span = _size(emit, size - 1 if self.align_corners else size)
        if self.align_corners:  # an axis of one element has no span to reflect in
            span = emit(Maximum(span, _number(emit, 1.0)), "span")
        away = emit(Abs(emit(Sub(position, low), "away")), "away")
        turns = emit(Floor(emit(Div(away, span), "turns")), "turns")
        extra = emit(Sub(away, emit(Mul(turns, span), "whole")), "extra")
        odd = _is_odd(emit, turns)
        back = emit(Sub(span, extra), "back")
        return emit(Add(emit(Where(odd, back, extra), "reflected"), low), "reflected")

    def _in_range(self, emit: Emitter, place: Value, weight: Value, size: Dim) -> Neighbour:
        zero, last = _number(emit, 0.0), _size(emit, size - 1)
        inside = emit(Minimum(emit(Maximum(place, zero), "least"), last), "inside")
        same = emit(
            And(
                emit(GreaterEqual(place, zero), "enough"),
                emit(LessEqual(place, last), "few_enough"),
            ),
            "in_range",
        )
        return inside, emit(Where(same, weight, zero), "weight")

    def _combined(
        self, emit: Emitter, chosen: tuple[Neighbour, ...], sizes: list[Dim]
    ) -> tuple[Value, Value]:
        """The index in row-major order, and the product of the weights."""
        (place, weight), *others = chosen
        index = emit(Cast(place, DType.INT64), "index")
        for size, (next_place, next_weight) in zip(sizes[1:], others, strict=True):
            index = emit(Mul(index, emit(DimValue(size), "size")), "index")
            index = emit(Add(index, emit(Cast(next_place, DType.INT64), "place")), "index")
            weight = emit(Mul(weight, next_weight), "weight")
        return index, weight


def _number(emit: Emitter, value: float) -> Value:
    return emit.constant(Tensor(np.array(value, np.float32)), "number")


def _size(emit: Emitter, size: Dim) -> Value:
    if isinstance(size, int):
        return _number(emit, float(size))
    return emit(Cast(emit(DimValue(size), "size"), DType.FLOAT32), "size")


def _is_odd(emit: Emitter, whole: Value) -> Value:
    half = emit(Floor(emit(Mul(whole, _number(emit, 0.5)), "half")), "half")
    twice = emit(Mul(half, _number(emit, 2.0)), "even")
    return emit(Equal(emit(Sub(whole, twice), "parity"), _number(emit, 1.0)), "odd")
