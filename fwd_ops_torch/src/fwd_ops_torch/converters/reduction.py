"""Converters of reductions."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
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
