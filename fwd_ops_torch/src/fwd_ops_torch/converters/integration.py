"""Converters of integrals by the trapezoidal rule."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, is_equal, ops
from fwd_ops_torch.converters.cumulative import cumsum
from fwd_ops_torch.converters.elementwise import add, div, mul, sub
from fwd_ops_torch.converters.reduction import sum_
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::trapezoid", "aten::trapz")
def trapezoid(
    ctx: ConversionContext, y: Value, x: Value | None = None, dx: float = 1, dim: int = -1
) -> Value:
    """aten::trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor. Or dx between all points.

    Not bool. Integers give float, but sums of two next to each other wrap as they do in torch.
    """
    axis = _axis(ctx, y, dim)
    if y.type.shape[axis] == 0:
        rest = (*y.type.shape[:axis], *y.type.shape[axis + 1 :])
        return ctx.emit(ops.Full(rest, 0, y.type.dtype))
    pairs = _pairs(ctx, y, x, axis)
    total = sum_(ctx, pairs, [axis])
    return _halved(ctx, total, None if x is not None else dx)


@converts("aten::cumulative_trapezoid")
def cumulative_trapezoid(
    ctx: ConversionContext, y: Value, x: Value | None = None, dx: float = 1, dim: int = -1
) -> Value:
    """aten::cumulative_trapezoid.x(Tensor y, Tensor x, *, int dim=-1) -> Tensor.

    The integral up to each point but the first. Not bool.
    """
    axis = _axis(ctx, y, dim)
    total = cumsum(ctx, _pairs(ctx, y, x, axis), axis)
    return _halved(ctx, total, None if x is not None else dx)


def _axis(ctx: ConversionContext, y: Value, dim: int) -> int:
    if not y.type.rank:
        raise ConversionError(f"{ctx.operator}: a number has no axis", got=y.type)
    return ctx.axis(dim, y.type.rank)


def _pairs(ctx: ConversionContext, y: Value, x: Value | None, axis: int) -> Value:
    """Sums of elements next to each other, times their distances if they have some."""
    if any(each.type.dtype is DType.BOOL for each in (y, x) if each is not None):
        raise ConversionError(f"{ctx.operator}: not for bool", got=y.type if x is None else x.type)
    pairs = add(ctx, *_neighbours(ctx, y, axis))
    if x is None:
        return pairs
    if not 1 <= x.type.rank <= y.type.rank:
        raise ctx.unsupported(
            "x", f"it has {x.type.rank} axes for {y.type.rank} of y", "give it those of y, or one"
        )
    if x.type.rank == 1:
        if not is_equal(x.type.shape[0], y.type.shape[axis]):
            raise ConversionError(
                f"{ctx.operator}: one x for each point", expected=y.type.shape[axis], got=x.type
            )
        x = ctx.emit(ops.Unsqueeze(x, tuple(range(1, y.type.rank - axis))), "x")
    lead = y.type.rank - x.type.rank
    wide = ctx.emit(ops.Unsqueeze(x, tuple(range(lead))), "x") if lead else x
    before, after = _neighbours(ctx, wide, axis)
    return mul(ctx, pairs, sub(ctx, after, before))


def _neighbours(ctx: ConversionContext, x: Value, axis: int) -> tuple[Value, Value]:
    size = x.type.shape[axis]
    count = 0 if size == 0 else size - 1
    before = ctx.emit(ops.Slice(x, axis, 0, count), "before")
    return before, ctx.emit(ops.Slice(x, axis, 0 if size == 0 else 1, count), "after")


def _halved(ctx: ConversionContext, x: Value, dx: float | None) -> Value:
    return div(ctx, x, 2.0) if dx is None else mul(ctx, x, dx / 2)
