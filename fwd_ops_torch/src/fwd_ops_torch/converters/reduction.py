"""Converters of reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_ops_torch.converters._numerics import is_empty, is_nan, places, widened, without
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::mean")
def mean(
    ctx: ConversionContext,
    x: Value,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    Floats, or integers with a float dtype.
    """
    value = x if dtype is None else ctx.cast(x, dtype)
    if not value.type.dtype.is_float:
        raise ConversionError("mean: the result must be of a float dtype", got=value.type)
    axes = ctx.axes(dim, x.type.rank)
    return ctx.emit(ops.ReduceMean(value, axes, keepdim)) if axes else value


@converts("aten::sum")
def sum_(
    ctx: ConversionContext,
    x: Value,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    Integers and bool sum in int64 unless dtype says otherwise.
    """
    own = x.type.dtype
    if dtype is DType.BOOL:  # truths add as or
        truth, axes = ctx.cast(x, dtype), ctx.axes(dim, x.type.rank)
        return ctx.emit(ops.ReduceAny(truth, axes, keepdim)) if axes else truth
    value = ctx.cast(x, dtype if dtype is not None else own if own.is_float else DType.INT64)
    axes = ctx.axes(dim, x.type.rank)
    return ctx.emit(ops.ReduceSum(value, axes, keepdim)) if axes else value


@converts("aten::amax")
def amax(ctx: ConversionContext, x: Value, dim: Sequence[int] = (), keepdim: bool = False) -> Value:
    """aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor. Any dtype."""
    reduce = ops.ReduceAny if x.type.dtype is DType.BOOL else ops.ReduceMax
    return _extreme(ctx, reduce, x, dim, keepdim)


@converts("aten::amin")
def amin(ctx: ConversionContext, x: Value, dim: Sequence[int] = (), keepdim: bool = False) -> Value:
    """aten::amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor. Any dtype."""
    reduce = ops.ReduceAll if x.type.dtype is DType.BOOL else ops.ReduceMin
    return _extreme(ctx, reduce, x, dim, keepdim)


@converts("aten::any")
def any_(
    ctx: ConversionContext, x: Value, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Value:
    """aten::any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor. bool out."""
    return _truth(ctx, ops.ReduceAny, x, dim, keepdim)


@converts("aten::all")
def all_(
    ctx: ConversionContext, x: Value, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Value:
    """aten::all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor. bool out."""
    return _truth(ctx, ops.ReduceAll, x, dim, keepdim)


@converts("aten::prod")
def prod(
    ctx: ConversionContext,
    x: Value,
    dim: int | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    Integers and bool multiply in int64 unless dtype says otherwise.
    """
    own = x.type.dtype
    wanted = dtype if dtype is not None else own if own.is_float else DType.INT64
    if wanted is DType.BOOL:
        truth = ctx.cast(x, DType.BOOL)
        axes = ctx.axes(dim, x.type.rank)
        return ctx.emit(ops.ReduceAll(truth, axes, keepdim)) if axes else truth
    value = ctx.cast(x, wanted)
    axes = ctx.axes(dim, x.type.rank)
    return ctx.emit(ops.ReduceProd(value, axes, keepdim)) if axes else value


@converts("aten::count_nonzero")
def count_nonzero(
    ctx: ConversionContext, x: Value, dim: int | Sequence[int] | None = None
) -> Value:
    """aten::count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor. Any dtype; int64 out."""
    return sum_(ctx, ctx.cast(x, DType.BOOL), None if dim is None else _listed(dim))


@converts("aten::nansum")
def nansum(
    ctx: ConversionContext,
    x: Value,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    A NaN counts as 0.
    """
    if x.type.dtype.is_float:
        zero = ctx.number(0.0, x.type.dtype, "zero")
        x = ctx.emit(ops.Where(is_nan(ctx, x), zero, x), "numbers")
    return sum_(ctx, x, dim, keepdim, dtype)


@converts("aten::nanmean")
def nanmean(
    ctx: ConversionContext,
    x: Value,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    The mean of what is no NaN, of floats.
    """
    if not x.type.dtype.is_float:
        raise ConversionError("nanmean: floats only", got=x.type)
    target = dtype if dtype is not None else x.type.dtype
    if not target.is_float:
        raise ConversionError("nanmean: the result must be of a float dtype", got=target)
    total = nansum(ctx, widened(ctx, ctx.cast(x, target)), dim, keepdim)
    numbers = ctx.emit(ops.Not(is_nan(ctx, x)), "numbers")
    counted = ctx.cast(sum_(ctx, numbers, dim, keepdim), total.type.dtype)
    return ctx.cast(ctx.emit(ops.Div(total, counted), "mean"), target)


@converts("aten::logsumexp", "aten::special_logsumexp")
def logsumexp(ctx: ConversionContext, x: Value, dim: Sequence[int], keepdim: bool = False) -> Value:
    """aten::logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor.

    Integers and bool give float.
    """
    value = ctx.to_float(x)
    wide, axes = widened(ctx, value), ctx.axes(dim, x.type.rank)
    if axes and not dim and not keepdim and 0 not in x.type.shape:
        raise ConversionError(f"{ctx.operator}: no dims need keepdim, says torch", got=x.type)
    if is_empty(x, axes):  # no greatest element to shift by: the logarithm of a sum of nothing
        shape = ops.ReduceSum(wide, axes, keepdim).infer().shape
        return ctx.emit(ops.Full(shape, -math.inf, value.type.dtype))
    greatest = ctx.emit(ops.ReduceMax(wide, axes, keepdims=True), "greatest") if axes else wide
    # Infinite minus infinite is no number, and there is nothing to scale.
    zero, infinity = (ctx.number(each, wide.type.dtype) for each in (0.0, math.inf))
    magnitude = ctx.emit(ops.Abs(greatest), "magnitude")
    infinite = ctx.emit(ops.Equal(magnitude, infinity), "infinite")
    shift = ctx.emit(ops.Where(infinite, zero, greatest), "shift")
    total = ctx.emit(ops.Exp(ctx.emit(ops.Sub(wide, shift), "shifted")), "exp")
    if axes:
        total = ctx.emit(ops.ReduceSum(total, axes, keepdims=True), "total")
    result = ctx.emit(ops.Add(ctx.emit(ops.Log(total)), shift), "logsumexp")
    return ctx.cast(without(ctx, result, axes, keepdim), value.type.dtype)


@converts("aten::trace")
def trace(ctx: ConversionContext, x: Value) -> Value:
    """aten::trace(Tensor self) -> Tensor. A matrix; integers sum in int64."""
    if x.type.rank != 2:
        raise ConversionError("trace: expected a matrix", expected="2 axes", got=x.type)
    if x.type.dtype is DType.BOOL:
        raise ConversionError("trace: not for bool", got=x.type)
    value = x if x.type.dtype.is_float else ctx.cast(x, DType.INT64)
    on = ctx.emit(ops.Equal(places(ctx, x, 0), places(ctx, x, 1)), "diagonal")
    zero = ctx.number(0, value.type.dtype, "zero")
    return ctx.emit(ops.ReduceSum(ctx.emit(ops.Where(on, value, zero)), (0, 1)))


@converts("aten::sum_to_size")
def sum_to_size(ctx: ConversionContext, x: Value, size: Sequence[Dim]) -> Value:
    """aten::sum_to_size(Tensor self, SymInt[] size) -> Tensor. Sums what broadcasting would repeat."""
    more = x.type.rank - len(size)
    same = [is_equal(*pair) for pair in zip(x.type.shape[max(more, 0) :], size, strict=False)]
    if more < 0 or any(not known and one != 1 for known, one in zip(same, size, strict=False)):
        raise ConversionError(
            f"{ctx.operator}: this size does not broadcast to the tensor's",
            expected=x.type,
            got=list(size),
        )
    axes = [*range(more), *(more + axis for axis, known in enumerate(same) if not known)]
    if not axes and size:
        return x
    total = sum_(ctx, x, axes, keepdim=True)
    return ctx.emit(ops.Squeeze(total, tuple(range(more)))) if more else total


def _extreme(
    ctx: ConversionContext,
    reduce: type[ops.reduction.Reduction],
    x: Value,
    dim: Sequence[int],
    keepdim: bool,
) -> Value:
    axes = ctx.axes(dim, x.type.rank)
    if any(x.type.shape[axis] == 0 for axis in axes):
        raise ConversionError(f"{ctx.operator}: nothing has no extremes", got=x.type)
    return ctx.emit(reduce(x, axes, keepdim)) if axes else x


def _truth(
    ctx: ConversionContext,
    reduce: type[ops.reduction.Reduction],
    x: Value,
    dim: int | Sequence[int] | None,
    keepdim: bool,
) -> Value:
    # For these, unlike for sums, an empty list reduces nothing.
    empty = not isinstance(dim, int) and dim is not None and not dim
    axes = () if empty else ctx.axes(dim, x.type.rank)
    truth = ctx.cast(x, DType.BOOL)
    result = ctx.emit(reduce(truth, axes, keepdim)) if axes else truth
    # torch keeps uint8 here, from the time before it had bool.
    return ctx.cast(result, DType.UINT8) if x.type.dtype is DType.UINT8 else result


def _listed(dim: int | Sequence[int]) -> Sequence[int]:
    return [dim] if isinstance(dim, int) else dim
