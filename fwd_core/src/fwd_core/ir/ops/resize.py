"""Operators that resample spatial axes at other sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim, bounds, divide_exactly, maximum
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.creation import Arange, DimValue
from fwd_core.ir.ops.elementwise import (
    Add,
    Cast,
    Clamp,
    Div,
    Equal,
    FloorDiv,
    Minimum,
    Mul,
    Sub,
    Where,
)
from fwd_core.ir.ops.indexing import Gather
from fwd_core.ir.ops.shape import Reshape
from fwd_core.ir.ops.unary import Floor
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

#: Of cubic convolution, as torch has it (Keys, 1981, has -0.5).
CUBIC_COEFFICIENT = -0.75
_A = CUBIC_COEFFICIENT
#: Of a neighbour at distance t of at most 1: (A + 2) t^3 - (A + 3) t^2 + 1.
NEAR = (_A + 2, -(_A + 3), 0.0, 1.0)
#: Of one at distance t + 1: A (t + 1)^3 - 5A (t + 1)^2 + 8A (t + 1) - 4A.
FAR = (_A, -2 * _A, _A, 0.0)


_MOST_LOOKED_AT = 1 << 16


@operator
class Resize(Operator):
    """x resampled along its spatial axes: [N, C, *spatial] -> [N, C, *size].

    Element i of an axis is read at a position of x that follows from d, the distance there
    between elements: i * d for ``nearest`` (rounded down) and with ``align_corners``, else
    (i + 0.5) * d - 0.5 (``nearest_exact`` rounds it to the nearest, ties up). d is 1 / scale
    where ``scales`` has one, (in - 1) / (out - 1) with ``align_corners``, else in / out.
    ``linear`` weighs the two neighbours of the position, ``cubic`` the four, with coefficient
    -0.75; what is outside repeats the edge, and linear positions below 0 count as 0. ``linear``
    leaves an axis whose size stays as it is, whatever its scale. Floats; nearest modes take any
    dtype. ``aten::upsample_bilinear2d`` and the like.
    """

    x: Value
    size: tuple[Dim, ...]
    mode: Literal["nearest", "nearest_exact", "linear", "cubic"]
    align_corners: bool = False
    scales: tuple[float | None, ...] = ()

    def infer(self) -> TensorType:
        spatial = self.x.type.rank - 2
        if spatial < 1 or len(self.size) != spatial or len(self.scales) not in (0, spatial):
            raise GraphError(f"{self.kind()}: a size per spatial axis", got=self.x.type)
        if self.mode not in ("nearest", "nearest_exact", "linear", "cubic"):
            raise GraphError(f"{self.kind()}: unknown mode", got=self.mode)
        if not self.mode.startswith("nearest"):
            check.require_dtype(self.kind(), self.x, check.FLOATS)
        elif self.align_corners:
            raise GraphError(f"{self.kind()}: nearest modes align no corners")
        check.require_sizes(self.kind(), *self.size)
        return self.x.type.with_shape((*self.x.type.shape[:2], *self.size))

    def scale(self, axis: int) -> float | None:
        """The scale of a spatial axis, if it has one that counts."""
        if not self.scales or self.align_corners:
            return None
        stays = self.x.type.shape[axis + 2] == self.size[axis]
        return None if stays and self.mode == "linear" else self.scales[axis]

    @property
    def plain(self) -> bool:
        """Whether the sizes alone tell where each element is read, with any rounding of a step.

        Resizing layers of backends are told the sizes. What they make of them differs by a
        rounding, which moves a nearest neighbour where its position is a whole number.
        """
        axes = zip(self.x.type.shape[2:], self.size, strict=True)
        return all(self._is_plain(axis, *sizes) for axis, sizes in enumerate(axes))

    def _is_plain(self, axis: int, before: Dim, after: Dim) -> bool:
        scale = self.scale(axis)
        factor = divide_exactly(after, before)
        if isinstance(before, int) and isinstance(after, int):
            if before == 0 or (scale is not None and scale * before != after):
                return False
            longest = after
        elif isinstance(factor, int) and scale in (None, factor):
            # Whatever the sizes are, so look at as many elements as there can be.
            longest, before, after = min(bounds(after)[1], _MOST_LOOKED_AT), 1, factor
        else:
            return False if scale is not None else not self.mode.startswith("nearest")
        if not self.mode.startswith("nearest"):
            return True
        if after % before and (before % after or self.mode == "nearest_exact"):
            return False
        places, exact = np.arange(longest), self.mode == "nearest_exact"
        wanted = ((2 * places + 1) * before // (2 * after)) if exact else places * before // after
        step = np.float32(distance(before, after, False, scale))
        shifted = places.astype(np.float32) + np.float32(0.5 if exact else 0)
        return bool(np.array_equal(np.floor(shifted * step), wanted))

    def decompose(self, emit: Emitter) -> Value:
        x = self.x
        for axis, (before, after) in enumerate(zip(self.x.type.shape[2:], self.size, strict=True)):
            if before == after and self.scale(axis) in (None, 1.0):
                continue
            if not self.mode.startswith("nearest"):
                x = self._weighted(emit, x, axis, before, after)
                continue
            if isinstance(before, int) and isinstance(after, int):
                known = nearest_indices(self.mode, before, after, self.scale(axis))
                index = emit.constant(known, "index")
            else:
                index = self._nearest(emit, axis, before, after)
            x = emit(Gather(x, index, axis + 2), "picked")
        return x

    def _nearest(self, emit: Emitter, axis: int, before: Dim, after: Dim) -> Value:
        """Indices of an axis whose size is not fixed. Whole numbers divide exactly."""
        places, scale = emit(Arange(after), "places"), self.scale(axis)
        exact = self.mode == "nearest_exact"
        if scale is None:
            if exact:
                two, one = (emit.constant(np.array(n, np.int64), "number") for n in (2, 1))
                places = emit(Add(emit(Mul(places, two), "twice"), one), "centre")
            whole = emit(Mul(places, emit(DimValue(before), "size")), "whole")
            index = emit(FloorDiv(whole, emit(DimValue(after * (2 if exact else 1)))), "index")
        else:
            position = emit(Cast(places, DType.FLOAT32), "position")
            if exact:
                position = emit(Add(position, _number(emit, 0.5)), "centre")
            position = emit(Mul(position, _number(emit, 1.0 / scale)), "position")
            index = emit(Cast(emit(Floor(position), "floor"), DType.INT64), "index")
        return emit(Minimum(index, emit(DimValue(before - 1), "last")), "index")

    def _weighted(self, emit: Emitter, x: Value, axis: int, before: Dim, after: Dim) -> Value:
        """The sum of neighbours by their weights."""
        column = (after, *(1 for _ in self.size[axis + 1 :]))
        total: Value | None = None
        for index, weight in self._neighbours(emit, axis, before, after):
            taken = emit(Gather(x, index, axis + 2), "taken")
            shaped = emit(Reshape(emit(Cast(weight, x.type.dtype), "weight"), column), "weight")
            part = emit(Mul(taken, shaped), "part")
            total = part if total is None else emit(Add(total, part), "sum")
        assert total is not None, "there are two neighbours or four"
        return total

    def _neighbours(
        self, emit: Emitter, axis: int, before: Dim, after: Dim
    ) -> Iterator[tuple[Value, Value]]:
        """Indices along an axis and the weights of what is there, in float32."""
        if isinstance(before, int) and isinstance(after, int):
            step = distance(before, after, self.align_corners, self.scale(axis))
            places = places_of(after, step, self.align_corners)
            if self.mode == "linear":
                places = np.maximum(places, 0)
            lowest = np.floor(places)
            for offset, weights in known_weights(self.mode, places - lowest):
                index = np.clip(lowest.astype(np.int64) + offset, 0, before - 1)
                yield (
                    emit.constant(index, "index"),
                    emit.constant(weights.astype(np.float32), "weight"),
                )
            return
        position = self._positions(emit, axis, before, after)
        floor = emit(Floor(position), "floor")
        first = emit(Cast(floor, DType.INT64), "index")
        last = emit(DimValue(before - 1), "last")
        for offset, weight in self._weights(emit, emit(Sub(position, floor), "rest")):
            place = emit(Add(first, emit.constant(np.array(offset, np.int64), "offset")), "place")
            yield emit(Minimum(emit(Clamp(place, minimum=0), "place"), last), "place"), weight

    def _positions(self, emit: Emitter, axis: int, before: Dim, after: Dim) -> Value:
        """Where elements are read if sizes are not fixed, as float32."""
        places = emit(Arange(after, 0.0, 1.0, DType.FLOAT32), "places")
        scale = self.scale(axis)
        if scale is not None:
            step = _number(emit, 1.0 / scale)
            if self.mode == "linear":
                sizes = (emit(DimValue(size), "size") for size in (before, after))
                stays = emit(Equal(*sizes), "stays")
                step = emit(Where(stays, _number(emit, 1.0), step), "distance")
        else:
            less = 1 if self.align_corners else 0
            upper, lower = (
                emit(Cast(emit(DimValue(size), "size"), DType.FLOAT32), "size")
                for size in (before - less, maximum(after - less, 1))
            )
            step = emit(Div(upper, lower), "distance")
        if self.align_corners:
            return emit(Mul(places, step), "position")
        half = _number(emit, 0.5)
        centre = emit(Mul(emit(Add(places, half), "centre"), step), "centre")
        position = emit(Sub(centre, half), "position")
        return emit(Clamp(position, minimum=0.0)) if self.mode == "linear" else position

    def _weights(self, emit: Emitter, t: Value) -> list[tuple[int, Value]]:
        """Offsets of neighbours and their weights, from the position's distance to the lowest."""
        u = emit(Sub(_number(emit, 1.0), t), "other_rest")
        if self.mode == "linear":
            return [(0, u), (1, t)]
        return [
            (-1, polynomial(emit, t, *FAR)),
            (0, polynomial(emit, t, *NEAR)),
            (1, polynomial(emit, u, *NEAR)),
            (2, polynomial(emit, u, *FAR)),
        ]


def known_weights(
    mode: str, rest: NDArray[np.float64]
) -> list[tuple[int, NDArray[np.floating[Any]]]]:
    """Offsets of neighbours and their weights, from the position's distance to the lowest."""
    other = 1 - rest
    if mode == "linear":
        return [(0, other), (1, rest)]
    return [
        (-1, np.polyval(FAR, rest)),
        (0, np.polyval(NEAR, rest)),
        (1, np.polyval(NEAR, other)),
        (2, np.polyval(FAR, other)),
    ]


def nearest_indices(mode: str, before: int, after: int, scale: float | None) -> NDArray[np.int64]:
    """What the nearest modes read along an axis, computed in float32 as torch does."""
    step = np.float32(distance(before, after, False, scale))
    shift = np.float32(0.5 if mode == "nearest_exact" else 0)
    places = np.arange(after, dtype=np.float32)
    index = np.floor((places + shift) * step).astype(np.int64)
    clipped: NDArray[np.int64] = np.minimum(index, max(before - 1, 0))
    return clipped


def distance(before: int, after: int, align_corners: bool, scale: float | None) -> float:
    """The distance in x between neighbouring elements of the result."""
    if align_corners:
        return (before - 1) / (after - 1) if after > 1 else 0.0
    return 1.0 / scale if scale is not None else before / max(after, 1)


def places_of(after: int, step: float, align_corners: bool) -> NDArray[np.float64]:
    """Where the elements of the result are read."""
    places = np.arange(after, dtype=np.float64)
    return places * step if align_corners else (places + 0.5) * step - 0.5


def _number(emit: Emitter, value: float) -> Value:
    return emit.constant(Tensor(np.array(value, np.float32)), "number")


def polynomial(emit: Emitter, x: Value, *coefficients: float) -> Value:
    """By Horner's rule, the highest power's coefficient first."""
    total = emit(Mul(x, _number(emit, coefficients[0])), "term")
    for coefficient in coefficients[1:-1]:
        total = emit(Mul(emit(Add(total, _number(emit, coefficient)), "sum"), x), "term")
    return emit(Add(total, _number(emit, coefficients[-1])), "weight")
