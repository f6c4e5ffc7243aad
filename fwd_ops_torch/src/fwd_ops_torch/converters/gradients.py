"""Converters of derivatives along axes: slopes of parabolas through three points next to each other.

Half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, is_equal, is_less, ops
from fwd_ops_torch.converters._numerics import widened
from fwd_ops_torch.converters.elementwise import add, div, mul, sub
from fwd_ops_torch.converting import ConversionContext, Number, Operand, converts
from fwd_ops_torch.converting.promotion import result_dtype

Spacing = Union[Number, Sequence[Operand], None]


@converts("aten::gradient")
def gradient(
    ctx: ConversionContext,
    x: Value,
    spacing: Spacing = None,
    dim: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> list[Value]:
    """aten::gradient.tensorarray(Tensor self, *, Tensor[] spacing, int[] dim, int edge_order=1) -> Tensor[].

    Not bool. Points are 1 apart, or a number for all axes or for each, or lie where a tensor for
    each axis says.
    """
    if edge_order not in (1, 2):
        raise ConversionError("gradient: edge_order is 1 or 2", got=edge_order)
    if x.type.dtype is DType.BOOL:
        raise ConversionError("gradient: not for bool", got=x.type)
    axes = _axes(ctx, x, dim)
    steps = list(spacing) if isinstance(spacing, Sequence) else [spacing] * len(axes)
    if len(steps) != len(axes):
        raise ConversionError(
            "gradient: one spacing for all axes, or one for each",
            expected=f"{len(axes)} axes",
            got=len(steps),
        )
    for axis in axes:
        if is_less(x.type.shape[axis], edge_order + 1) is not False:
            raise ConversionError(
                f"gradient: at least {edge_order + 1} points along each axis", got=x.type
            )
    return [
        _along(ctx, x, axis, 1 if step is None else step, edge_order)
        for axis, step in zip(axes, steps, strict=True)
    ]


def _axes(ctx: ConversionContext, x: Value, dim: int | Sequence[int] | None) -> list[int]:
    if dim is None:
        return list(range(x.type.rank))
    axes = [ctx.axis(one, x.type.rank) for one in ([dim] if isinstance(dim, int) else dim)]
    if len(set(axes)) != len(axes):
        raise ConversionError("gradient: a dimension is repeated", got=dim)
    return axes


def _along(ctx: ConversionContext, x: Value, axis: int, step: Operand, edge_order: int) -> Value:
    size = x.type.shape[axis]
    if isinstance(step, Value):
        if step.type.rank != 1 or is_equal(step.type.shape[0], size) is not True:
            raise ConversionError(
                "gradient: a place for each point", expected=f"{size} places", got=step.type
            )
        dtype = result_dtype((x, step))
        dtype = dtype if dtype.is_float else DType.FLOAT32
        value, points = (widened(ctx, ctx.cast(one, dtype)) for one in (x, step))
        points = ctx.emit(ops.Unsqueeze(points, tuple(range(1, x.type.rank - axis))), "points")
        before, after = (
            sub(ctx, ctx.emit(ops.Slice(points, 0, start + 1, size - 2), "point"),
                ctx.emit(ops.Slice(points, 0, start, size - 2), "point"))
            for start in (0, 1)
        )  # fmt: skip
        ends = [sub(ctx, ctx.emit(ops.Slice(points, 0, place + 1, 1), "point"),
                    ctx.emit(ops.Slice(points, 0, place, 1), "point"))
                for place in (0, size - 2)]  # fmt: skip
    else:
        value = widened(ctx, ctx.to_float(x))
        dtype = x.type.dtype if x.type.dtype.is_float else value.type.dtype
        even = ctx.number(float(step), value.type.dtype, "step")  # type: ignore[arg-type]
        before = after = even
        ends = [even, even]
    first, middle, last = (
        ctx.emit(ops.Slice(value, axis, start, size - 2), "neighbours") for start in (0, 1, 2)
    )
    inner = _slope(ctx, (first, middle, last), before, after)
    edges = []
    for place, apart in zip((0, size - 2), ends, strict=True):
        low, high = (
            ctx.emit(ops.Slice(value, axis, start, 1), "point") for start in (place, place + 1)
        )
        edges.append(div(ctx, sub(ctx, high, low), apart))
    if edge_order == 2:
        # The slopes of a parabola at two points are together twice that of the line through them.
        beside = [ctx.emit(ops.Slice(inner, axis, place, 1), "beside") for place in (0, size - 3)]
        edges = [sub(ctx, mul(ctx, edge, 2), one) for edge, one in zip(edges, beside, strict=True)]
    return ctx.cast(ctx.emit(ops.Concat((edges[0], inner, edges[1]), axis), "slope"), dtype)


def _slope(
    ctx: ConversionContext, values: tuple[Value, Value, Value], before: Value, after: Value
) -> Value:
    """Of a parabola through three points, at the one in between."""
    low, middle, high = values
    left = div(ctx, sub(ctx, middle, low), before)
    right = div(ctx, sub(ctx, high, middle), after)
    both = add(ctx, mul(ctx, left, after), mul(ctx, right, before))
    return div(ctx, both, add(ctx, before, after))
