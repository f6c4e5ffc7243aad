"""Where the greatest elements of pooling windows are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from fwd_core.ir import Dim, DType, Value, ops
from fwd_core.ir.dims import maximum, product
from fwd_ops_torch.converting import ConversionContext


@dataclass(frozen=True)
class Axis:
    """The windows on one spatial axis.

    Attributes:
        size: Elements of the axis that positions count in.
        kernel: Elements of a window.
        stride: From the first element of a window to that of the next.
        padding: Elements before the axis that the first window begins with.
        dilation: From an element of a window to the next.
        starts: Positions of the first elements, [windows]; by default ``stride`` apart.
    """

    size: Dim
    kernel: int
    stride: int
    padding: int = 0
    dilation: int = 1
    starts: Value | None = None


def first_maxima(ctx: ConversionContext, x: Value, pooled: Value, axes: Sequence[Axis]) -> Value:
    """Position of the first element of each window that is its greatest: int64, as ``pooled``.

    Positions count the elements of the spatial axes in row-major order, without the padding.

    Args:
        ctx: Adds the operators.
        x: [N, C, *spatial], where the windows are cut.
        pooled: The greatest elements, [N, C, *windows].
        axes: One per spatial axis.
    """
    counts = pooled.type.shape[2:]
    if x.type.dtype.is_integer:  # so that what pads is less than all that smaller types hold
        x, pooled = (ctx.cast(value, DType.INT32) for value in (x, pooled))
    after: list[Dim] = []
    for axis, count, size in zip(axes, counts, x.type.shape[2:], strict=True):
        reach = (count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
        after.append(maximum(0, reach - size - axis.padding))
    before = tuple(axis.padding for axis in axes)
    if any(entry != 0 for entry in (*before, *after)):
        least = x.type.dtype.limits[0]
        x = ctx.emit(ops.Pad(x, (0, 0, *before), (0, 0, *after), "constant", least), "padded")
    weights = [product(axis.size for axis in axes[i + 1 :]) for i in range(len(axes))]
    offsets = [
        sum(
            (tap * axis.dilation * weight for tap, axis, weight in zip(taps, axes, weights,
                                                                        strict=True)),
            start=0,
        )
        for taps in itertools.product(*(range(axis.kernel) for axis in axes))
    ]  # fmt: skip
    found = ctx.number(offsets[-1], DType.INT64, "offset")
    elements = _elements(ctx, x, axes, counts)
    # From the last element to the first, which so wins among equals.
    for element, offset in reversed(list(zip(elements, offsets, strict=True))):
        same = ctx.emit(ops.Equal(element, pooled), "same")
        found = ctx.emit(ops.Where(same, ctx.number(offset, DType.INT64, "offset"), found), "found")
    return ctx.emit(ops.Add(found, _first_positions(ctx, axes, weights, counts)), "indices")


def first_maximum(ctx: ConversionContext, x: Value, greatest: Value) -> Value:
    """Position in [N, C, *spatial] of the first element that is ``greatest``, [N, C, 1, …]."""
    sizes = x.type.shape[2:]
    count = product(sizes)
    counted = ctx.emit(ops.Reshape(ctx.emit(ops.Arange(count), "range"), sizes), "positions")
    same = ctx.emit(ops.Equal(x, greatest), "same")
    beyond = ctx.number(count, DType.INT64, "count")
    places = ctx.emit(ops.Where(same, counted, beyond), "places")
    axes = tuple(range(2, x.type.rank))
    return ctx.emit(ops.ReduceMin(places, axes, keepdims=True), "indices")


def _elements(
    ctx: ConversionContext, x: Value, axes: Sequence[Axis], counts: Sequence[Dim]
) -> list[Value]:
    """For each element of a window, in row-major order, that of all windows."""
    cut = [x]
    for place, (axis, count) in enumerate(zip(axes, counts, strict=True), 2):
        cut = [
            ctx.emit(ops.Slice(one, place, tap * axis.dilation, count, axis.stride), "elements")
            for one in cut
            for tap in range(axis.kernel)
        ]
    return cut


def _first_positions(
    ctx: ConversionContext, axes: Sequence[Axis], weights: Sequence[Dim], counts: Sequence[Dim]
) -> Value:
    """The position of each window's first element, [*windows]; negative in the padding."""
    total: Value | None = None
    for place, (axis, weight, count) in enumerate(zip(axes, weights, counts, strict=True)):
        starts = axis.starts
        if starts is None:
            starts = ctx.emit(ops.Arange(count, -axis.padding, axis.stride), "starts")
        column = (count, *(1 for _ in counts[place + 1 :]))
        starts = ctx.emit(ops.Reshape(starts, column), "column")
        part = ctx.emit(ops.Mul(starts, ctx.number(weight, DType.INT64, "weight")), "part")
        total = part if total is None else ctx.emit(ops.Add(total, part), "firsts")
    assert total is not None, "pooling has an axis"
    return total
