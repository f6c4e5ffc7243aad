"""Converters of greatest and least elements, and of where they are.

Of equal elements the first is found, as torch's documentation promises, and a NaN beats all
numbers.
"""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._numerics import flat, is_empty, without
from fwd_ops_torch.converters.elementwise import maximum, minimum
from fwd_ops_torch.converters.reduction import amax, amin
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::max")
def max_(
    ctx: ConversionContext,
    x: Value,
    other: Value | None = None,
    dim: int | None = None,
    keepdim: bool = False,
) -> Value | tuple[Value, Value]:
    """aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices).

    Without dim of all elements; with another tensor element by element. Any dtype.
    """
    if other is not None:
        return maximum(ctx, x, other)
    if dim is None:
        return amax(ctx, x)
    axis = ctx.axis(dim, x.type.rank)
    return amax(ctx, x, [axis], keepdim), _place(ctx, x, axis, keepdim, largest=True)


@converts("aten::min")
def min_(
    ctx: ConversionContext,
    x: Value,
    other: Value | None = None,
    dim: int | None = None,
    keepdim: bool = False,
) -> Value | tuple[Value, Value]:
    """aten::min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices).

    Without dim of all elements; with another tensor element by element. Any dtype.
    """
    if other is not None:
        return minimum(ctx, x, other)
    if dim is None:
        return amin(ctx, x)
    axis = ctx.axis(dim, x.type.rank)
    return amin(ctx, x, [axis], keepdim), _place(ctx, x, axis, keepdim, largest=False)


@converts("aten::aminmax")
def aminmax(
    ctx: ConversionContext, x: Value, dim: int | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    """aten::aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)."""
    axes = ctx.axes(dim, x.type.rank)
    return amin(ctx, x, axes, keepdim), amax(ctx, x, axes, keepdim)


@converts("aten::argmax")
def argmax(
    ctx: ConversionContext, x: Value, dim: int | None = None, keepdim: bool = False
) -> Value:
    """aten::argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor.

    Without dim the place among all elements. Numbers.
    """
    return _argument(ctx, x, dim, keepdim, largest=True)


@converts("aten::argmin")
def argmin(
    ctx: ConversionContext, x: Value, dim: int | None = None, keepdim: bool = False
) -> Value:
    """aten::argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor.

    Without dim the place among all elements. Numbers.
    """
    return _argument(ctx, x, dim, keepdim, largest=False)


def _argument(
    ctx: ConversionContext, x: Value, dim: int | None, keepdim: bool, *, largest: bool
) -> Value:
    if x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    rank = x.type.rank
    axis = None if dim is None else ctx.axis(dim, rank)
    if is_empty(x, range(rank) if axis is None else (axis,) if rank else ()):
        raise ConversionError(f"{ctx.operator}: nothing has no extremes", got=x.type)
    if axis is not None:
        return _place(ctx, x, axis, keepdim, largest=largest)
    place = _place(ctx, flat(ctx, x), 0, keepdim, largest=largest)
    return ctx.emit(ops.Reshape(place, (1,) * rank)) if keepdim else place


def _place(ctx: ConversionContext, x: Value, axis: int, keepdim: bool, *, largest: bool) -> Value:
    if x.type.rank == 0:
        return ctx.number(0, DType.INT64, "place")
    key = ctx.cast(x, DType.INT32) if x.type.dtype is DType.BOOL else x
    if not largest and key.type.dtype.is_float:
        # A NaN is the least element too, and the greatest in order.
        key, largest = ctx.emit(ops.Neg(key), "negated"), True
    found = ctx.emit_all(ops.TopK(key, 1, axis, largest, stable=True), "found")[1]
    return without(ctx, found, (axis,), keepdim)
