"""Converters of operators that order the elements of an axis.

A NaN is greater than every number, as torch says. Where torch leaves the order of equal elements
open, and so their places, so do the backends.
"""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_less, ops
from fwd_ops_torch.converters._numerics import flat, is_nan, places, without
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::topk", no_effect={"sorted": "elements in order are as good as in any"})
def topk(
    ctx: ConversionContext, x: Value, k: Dim, dim: int = -1, largest: bool = True
) -> tuple[Value, Value]:
    """aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices).

    Numbers.
    """
    if x.type.dtype is DType.BOOL:
        raise ConversionError("topk: not for bool", got=x.type)
    axis = ctx.axis(dim, x.type.rank)
    limit = x.type.shape[axis] if x.type.rank else 1
    if is_less(k, 0) is True or is_less(limit, k) is True:
        raise ConversionError("topk: k is out of range", expected=f"0 … {limit}", got=k)
    return _ordered(ctx, x, axis, k, largest=largest, stable=False)


@converts("aten::sort")
def sort(
    ctx: ConversionContext,
    x: Value,
    stable: bool | None = None,
    dim: int = -1,
    descending: bool = False,
) -> tuple[Value, Value]:
    """aten::sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices).

    Any dtype.
    """
    axis = ctx.axis(dim, x.type.rank)
    size = x.type.shape[axis] if x.type.rank else 1
    return _ordered(ctx, x, axis, size, largest=descending, stable=bool(stable))


@converts("aten::argsort")
def argsort(
    ctx: ConversionContext,
    x: Value,
    stable: bool = False,
    dim: int = -1,
    descending: bool = False,
) -> Value:
    """aten::argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor."""
    return sort(ctx, x, stable, dim, descending)[1]


@converts("aten::msort")
def msort(ctx: ConversionContext, x: Value) -> Value:
    """aten::msort(Tensor self) -> Tensor. Along the first axis."""
    return sort(ctx, x, dim=0)[0]


@converts("aten::kthvalue")
def kthvalue(
    ctx: ConversionContext, x: Value, k: Dim, dim: int = -1, keepdim: bool = False
) -> tuple[Value, Value]:
    """aten::kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices).

    Numbers; k counts from 1.
    """
    if x.type.dtype is DType.BOOL:
        raise ConversionError("kthvalue: not for bool", got=x.type)
    axis = ctx.axis(dim, x.type.rank)
    limit = x.type.shape[axis] if x.type.rank else 1
    if is_less(k, 1) is True or is_less(limit, k) is True:
        raise ConversionError("kthvalue: k is out of range", expected=f"1 … {limit}", got=k)
    return _kth(ctx, x, axis, k, keepdim)


@converts("aten::median")
def median(
    ctx: ConversionContext, x: Value, dim: int | None = None, keepdim: bool = False
) -> Value | tuple[Value, Value]:
    """aten::median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices).

    Numbers; the lower one of two, and NaN if there is one.
    """
    whole = dim is None
    if x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    value = flat(ctx, x) if whole else x
    axis = 0 if dim is None else ctx.axis(dim, x.type.rank)
    size = value.type.shape[axis] if value.type.rank else 1
    if size == 0:
        raise ConversionError(f"{ctx.operator}: nothing has no median", got=x.type)
    found, place = _kth(ctx, value, axis, (size - 1) // 2 + 1, keepdim)
    if value.type.dtype.is_float and value.type.rank:
        nan = is_nan(ctx, value)
        # The greatest of 0 and 1 is where a NaN is.
        first = ops.TopK(ctx.cast(nan, DType.INT32), 1, axis, stable=True)
        there, where = ctx.emit_all(first, "first")
        any_nan = ctx.cast(without(ctx, there, (axis,), keepdim), DType.BOOL)
        instead = ctx.number(float("nan"), value.type.dtype)
        found = ctx.emit(ops.Where(any_nan, instead, found), "median")
        place = ctx.emit(ops.Where(any_nan, without(ctx, where, (axis,), keepdim), place), "place")
    return found if whole else (found, place)


@converts("aten::nanmedian")
def nanmedian(
    ctx: ConversionContext, x: Value, dim: int | None = None, keepdim: bool = False
) -> Value | tuple[Value, Value]:
    """aten::nanmedian.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices).

    Numbers; the lower one of two, of what is no NaN. NaN if there is nothing else.
    """
    if not x.type.dtype.is_float or not x.type.rank:
        return median(ctx, x, dim, keepdim)
    value = flat(ctx, x) if dim is None else x
    axis = 0 if dim is None else ctx.axis(dim, x.type.rank)
    size = value.type.shape[axis]
    if size == 0:
        raise ConversionError(f"{ctx.operator}: nothing has no median", got=x.type)
    numbers = ctx.cast(ctx.emit(ops.Not(is_nan(ctx, value)), "numbers"), DType.INT64)
    counted = ctx.emit(ops.ReduceSum(numbers, (axis,), keepdims=True), "count")
    one, two, zero = (ctx.number(each, DType.INT64) for each in (1, 2, 0))
    # NaNs come last in order, so the place counts from the first number.
    half = ctx.emit(ops.FloorDiv(ctx.emit(ops.Sub(counted, one)), two), "half")
    middle = ctx.emit(ops.Maximum(half, zero), "middle")
    found, place = (
        without(ctx, ctx.emit(ops.GatherElements(part, middle, axis), "median"), (axis,), keepdim)
        for part in ctx.emit_all(ops.TopK(value, size, axis, largest=False, stable=True), "ordered")
    )
    return found if dim is None else (found, place)


@converts("aten::mode")
def mode(
    ctx: ConversionContext, x: Value, dim: int = -1, keepdim: bool = False
) -> tuple[Value, Value]:
    """aten::mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices).

    Any dtype; the least of the most frequent elements, and its last place, which torch finds in
    few elements but does not promise. Every element is compared with every other. Undefined with a
    NaN, as in torch, where it depends on the order.
    """
    axis, dtype = ctx.axis(dim, x.type.rank), x.type.dtype
    if not x.type.rank:
        return x, ctx.number(0, DType.INT64, "place")
    if x.type.shape[axis] == 0:
        raise ConversionError("mode: nothing has no mode", got=x.type)
    key = ctx.cast(x, DType.INT32) if dtype is DType.BOOL else x
    own = ctx.emit(ops.Unsqueeze(key, (axis + 1,)), "own")
    others = ctx.emit(ops.Unsqueeze(key, (axis,)), "others")
    same = ctx.cast(ctx.emit(ops.Equal(own, others), "same"), DType.INT64)
    counts = ctx.emit(ops.ReduceSum(same, (axis + 1,)), "counts")
    most = ctx.emit(ops.ReduceMax(counts, (axis,), keepdims=True), "most")
    frequent = ctx.emit(ops.Equal(counts, most), "frequent")
    greatest = ctx.emit(ops.ReduceMax(key, (axis,), keepdims=True), "greatest")
    candidates = ctx.emit(ops.Where(frequent, key, greatest), "candidates")
    found = ctx.emit(ops.ReduceMin(candidates, (axis,), keepdims=True), "mode")
    none = ctx.number(0, DType.INT64, "none")
    there = ctx.emit(ops.Equal(key, found), "there")
    place = ctx.emit(ops.Where(there, places(ctx, key, axis), none), "place")
    last = ctx.emit(ops.ReduceMax(place, (axis,), keepdims=True), "last")
    values, indices = (without(ctx, each, (axis,), keepdim) for each in (found, last))
    return ctx.cast(values, dtype), indices


def _kth(ctx: ConversionContext, x: Value, axis: int, k: Dim, keepdim: bool) -> tuple[Value, Value]:
    if not x.type.rank:
        return x, ctx.number(0, DType.INT64, "place")
    ctx.require_enough("k", k, x.type.shape[axis])
    parts = ctx.emit_all(ops.TopK(x, k, axis, largest=False), "least")
    values, found = (
        without(ctx, ctx.emit(ops.Slice(part, axis, k - 1, 1), "kth"), (axis,), keepdim)
        for part in parts
    )
    return values, found


def _ordered(
    ctx: ConversionContext, x: Value, axis: int, k: Dim, *, largest: bool, stable: bool
) -> tuple[Value, Value]:
    if not x.type.rank:
        return x, ctx.number(0, DType.INT64, "place")
    dtype = x.type.dtype
    ctx.require_enough("k", k, x.type.shape[axis])
    key = ctx.cast(x, DType.INT32) if dtype is DType.BOOL else x
    values, found = ctx.emit_all(ops.TopK(key, k, axis, largest, stable), "ordered")
    return ctx.cast(values, dtype), found
