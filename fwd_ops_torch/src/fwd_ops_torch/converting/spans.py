"""Elements of an axis that views and scatters speak of: which ones, and putting others there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_core.ir.dims import maximum, minimum
from fwd_ops_torch.converting.context import ConversionContext


@dataclass(frozen=True)
class Span:
    """Elements ``start``, ``start + step``, … of an axis, ``length`` of them."""

    axis: int
    start: Dim
    length: Dim
    step: int = 1


def sliced(
    ctx: ConversionContext, x: Value, dim: int, start: Dim | None, end: Dim | None, step: Dim = 1
) -> Span:
    """What ``x[start:end:step]`` takes of an axis.

    Raises:
        ConversionError: There is no such axis, or the step is not positive.
        UnsupportedArgumentError: The step is dynamic, or a bound may be negative or not.
    """
    axis = ctx.axis_to_cut(dim, x.type.rank, "slice")
    stride = ctx.static(step, "step")
    if stride < 1:
        raise ConversionError(f"{ctx.operator}: step must be positive", got=step)
    size = x.type.shape[axis]
    low = _clamped(ctx, 0 if start is None else start, size)
    high = _clamped(ctx, size if end is None else end, size)
    length = maximum(high - low, 0)
    if stride != 1:
        length = (length + stride - 1) // stride
    return Span(axis, low, length, stride)


def selected(ctx: ConversionContext, x: Value, dim: int, index: Dim) -> Span:
    """The one element of an axis that ``x.select(dim, index)`` takes.

    Raises:
        ConversionError: There is no such axis or element.
        UnsupportedArgumentError: The index may be negative or not, or beyond the end.
    """
    axis = axis_to_select(ctx, x, dim)
    size = x.type.shape[axis]
    position = from_front(ctx, index, size)
    if is_less(position, size) is False or is_less(position, 0) is True:
        raise ConversionError(
            f"{ctx.operator}: index out of range", expected=f"{-size} … {size - 1}", got=index
        )
    ctx.require_enough("index", -index if is_less(index, 0) else position + 1, size)
    return Span(axis, position, 1)


def axis_to_select(ctx: ConversionContext, x: Value, dim: int) -> int:
    """The axis that ``x.select(dim, …)`` takes an element of, counted from the front.

    Raises:
        ConversionError: There is no such axis.
    """
    return ctx.axis_to_cut(dim, x.type.rank, "select from")


def from_front(ctx: ConversionContext, index: Dim, size: Dim) -> Dim:
    """An index of an axis, with negative ones counted from the end.

    Raises:
        UnsupportedArgumentError: It may be negative or not.
    """
    negative = is_less(index, 0)
    if negative is None:
        raise ctx.unsupported(
            "index",
            f"{index} may be negative or not",
            "narrow the range of the dynamic dim until it cannot",
        )
    return size + index if negative else index


def put(ctx: ConversionContext, base: Value, part: Value, span: Span) -> Value:
    """The base with ``part`` in place of a span's elements.

    Args:
        ctx: Adds the operators.
        base: Any tensor.
        part: Of the base's dtype and shape, but for the size of the span's axis: its length.
        span: Where.

    """
    axis, size = span.axis, base.type.shape[span.axis]
    if span.step == 1:
        high = span.start + span.length
        pieces = [part]
        if is_equal(span.start, 0) is not True:
            pieces.insert(0, ctx.emit(ops.Slice(base, axis, 0, span.start), "before"))
        if is_equal(high, size) is not True:
            pieces.append(ctx.emit(ops.Slice(base, axis, high, size - high), "after"))
        return part if len(pieces) == 1 else ctx.emit(ops.Concat(tuple(pieces), axis))
    sizes = (size, span.start, span.length)
    if not all(isinstance(one, int) for one in sizes):
        counted = ctx.emit(ops.Arange(span.length, span.start, span.step), "places")
        return scattered(ctx, base, part, counted, axis)
    # Old and new elements side by side, then for each place the one that belongs there.
    fixed, start, length = (int(one) for one in sizes)  # type: ignore[arg-type]
    places = np.arange(fixed)
    places[start : start + length * span.step : span.step] = fixed + np.arange(length)
    both = ctx.emit(ops.Concat((base, part), axis))
    return ctx.emit(ops.Gather(both, ctx.constant(places, DType.INT64, "places"), axis))


def scattered(ctx: ConversionContext, base: Value, part: Value, places: Value, axis: int) -> Value:
    """The base with ``part`` in place of the elements at 1-d ``places`` of an axis."""
    shape = part.type.shape
    column = ctx.emit(ops.Unsqueeze(places, tuple(range(1, len(shape) - axis))), "column")
    wide = ctx.emit(ops.Expand(column, shape), "index")
    return ctx.emit(ops.ScatterElements(base, wide, part, axis))


@dataclass(frozen=True)
class Diagonal:
    """The diagonal of two axes, as elements ``start``, ``start + step``, … of both in a row."""

    first: int
    second: int
    start: Dim
    length: Dim
    step: Dim

    @classmethod
    def of(cls, ctx: ConversionContext, x: Value, offset: int, dim1: int, dim2: int) -> Diagonal:
        """The diagonal that torch means.

        Raises:
            ConversionError: There are no such axes, or they are one.
        """
        first, second = ctx.axis(dim1, x.type.rank), ctx.axis(dim2, x.type.rank)
        if first == second or x.type.rank < 2:
            raise ConversionError(f"{ctx.operator}: two axes", expected=x.type, got=(dim1, dim2))
        rows, columns = x.type.shape[first], x.type.shape[second]
        below, beside = max(-offset, 0), max(offset, 0)
        length = maximum(minimum(rows - below, columns - beside), 0)
        # An empty one starts at the first element: where it would start may not exist.
        start = 0 if length == 0 else below * columns + beside
        return cls(first, second, start, length, columns + 1)

    def _order(self, rank: int) -> tuple[int, ...]:
        rest = [axis for axis in range(rank) if axis not in (self.first, self.second)]
        return (*rest, self.first, self.second)

    def shape(self, x: Value) -> tuple[Dim, ...]:
        """The shape of the diagonal: it is the last axis."""
        order = self._order(x.type.rank)
        return (*(x.type.shape[axis] for axis in order[:-2]), self.length)

    def flat(self, ctx: ConversionContext, x: Value) -> Value:
        """The tensor with both axes as one, the last."""
        last = ctx.emit(ops.Transpose(x, self._order(x.type.rank)), "last")
        *lead, rows, columns = last.type.shape
        return ctx.emit(ops.Reshape(last, (*lead, rows * columns)), "flat")

    def unflat(self, ctx: ConversionContext, flat: Value, x: Value) -> Value:
        """The inverse of :meth:`flat`, for a tensor of the shape of x."""
        order = self._order(x.type.rank)
        apart = ctx.emit(ops.Reshape(flat, tuple(x.type.shape[axis] for axis in order)), "apart")
        return ctx.emit(ops.Transpose(apart, tuple(map(order.index, range(len(order))))))


def put_diagonal(ctx: ConversionContext, base: Value, part: Value, diagonal: Diagonal) -> Value:
    """The base with ``part`` in place of a diagonal."""
    flat = diagonal.flat(ctx, base)
    axis = flat.type.rank - 1
    if isinstance(diagonal.step, int):
        span = Span(axis, diagonal.start, diagonal.length, diagonal.step)
        return diagonal.unflat(ctx, put(ctx, flat, part, span), base)
    places = ctx.emit(ops.Arange(diagonal.length, diagonal.start, diagonal.step), "places")
    return diagonal.unflat(ctx, scattered(ctx, flat, part, places, axis), base)


def _clamped(ctx: ConversionContext, index: Dim, size: Dim) -> Dim:
    """A slice's bound as torch reads it: negative counts from the end, then kept in the axis."""
    return minimum(maximum(from_front(ctx, index, size), 0), size)
