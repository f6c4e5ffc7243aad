"""Converters of operators whose every element is of all elements before it.

Sums have a layer. What has none is joined in steps of 1, 2, 4, … places (Hillis and Steele,
1986): as many as the greatest size of the axis has bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_less, ops
from fwd_core.ir.dim_hints import raise_least
from fwd_core.ir.dims import bounds, symbols
from fwd_ops_torch.converters._numerics import is_nan, places, widened
from fwd_ops_torch.converters.joining import cat
from fwd_ops_torch.converting import ConversionContext, converts

Join = Callable[[Value, Value], Value]


@converts("aten::cumsum", "aten::cumsum_")
def cumsum(ctx: ConversionContext, x: Value, dim: int, dtype: DType | None = None) -> Value:
    """aten::cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor.

    Integers and bool sum in int64 unless dtype says otherwise.
    """
    value, axis = _typed(ctx, x, dtype), ctx.axis(dim, x.type.rank)
    return ctx.emit(ops.CumSum(value, axis)) if _has_several(x) else value


@converts("aten::cumprod", "aten::cumprod_")
def cumprod(ctx: ConversionContext, x: Value, dim: int, dtype: DType | None = None) -> Value:
    """aten::cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor.

    Integers and bool multiply in int64 unless dtype says otherwise.
    """
    value, axis = _typed(ctx, x, dtype), ctx.axis(dim, x.type.rank)
    if not _has_several(x):
        return value
    wide = widened(ctx, value) if value.type.dtype.is_float else value
    result = _scanned(ctx, wide, axis, lambda a, b: ctx.emit(ops.Mul(a, b), "product"), 1)
    return ctx.cast(result, value.type.dtype)


@converts("aten::vander")
def vander(
    ctx: ConversionContext,
    x: Value,
    N: Dim | None = None,  # noqa: N803 - torch's own name
    increasing: bool = False,
) -> Value:
    """aten::vander(Tensor x, int? N=None, bool increasing=False) -> Tensor.

    A row of N powers of each element; N is fixed. Integers and bool give int64.
    """
    if x.type.rank != 1:
        raise ConversionError("vander: expected one axis", got=x.type)
    columns = ctx.static(x.type.shape[0] if N is None else N, "N")
    if columns < 0:
        raise ConversionError("vander: N must not be negative", got=N)
    return _powers(ctx, x, columns, increasing=increasing)


@converts("aten::linalg_vander")
def linalg_vander(
    ctx: ConversionContext,
    x: Value,
    N: Dim | None = None,  # noqa: N803 - torch's own name
) -> Value:
    """aten::linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor.

    vander of every row, increasing, of numbers but float16 and bfloat16; N is 2 at least.
    """
    if x.type.dtype is DType.BOOL or (x.type.dtype.is_float and x.type.dtype.itemsize < 4):
        raise ConversionError(f"linalg_vander: not for {x.type.dtype}", got=x.type)
    rows = x if x.type.rank else ctx.emit(ops.Unsqueeze(x, (0,)), "row")
    columns = ctx.static(rows.type.shape[-1] if N is None else N, "N")
    if columns < 2:
        raise ConversionError("linalg_vander: N is 2 at least", got=columns)
    return _powers(ctx, rows, columns, increasing=True)


@converts("aten::cummax")
def cummax(ctx: ConversionContext, x: Value, dim: int) -> tuple[Value, Value]:
    """aten::cummax(Tensor self, int dim) -> (Tensor values, Tensor indices).

    Any dtype; of equal elements the last is found.
    """
    return _extremes(ctx, x, dim, largest=True)


@converts("aten::cummin")
def cummin(ctx: ConversionContext, x: Value, dim: int) -> tuple[Value, Value]:
    """aten::cummin(Tensor self, int dim) -> (Tensor values, Tensor indices).

    Any dtype; of equal elements the last is found.
    """
    return _extremes(ctx, x, dim, largest=False)


@converts("aten::logcumsumexp")
def logcumsumexp(ctx: ConversionContext, x: Value, dim: int) -> Value:
    """aten::logcumsumexp(Tensor self, int dim) -> Tensor. Floats."""
    if not x.type.dtype.is_float:
        raise ConversionError("logcumsumexp: floats only", got=x.type)
    wide, axis = widened(ctx, x), ctx.axis(dim, x.type.rank)
    one, two = (ctx.number(number, wide.type.dtype) for number in (1.0, math.log(2)))

    def join(a: Value, b: Value) -> Value:
        # Equal ones apart: of infinite ones the difference is no number.
        greater = ctx.emit(ops.Maximum(a, b), "greater")
        apart = ctx.emit(ops.Neg(ctx.emit(ops.Abs(ctx.emit(ops.Sub(a, b))))), "apart")
        more = ctx.emit(ops.Log(ctx.emit(ops.Add(ctx.emit(ops.Exp(apart)), one))), "more")
        equal = ctx.emit(ops.Equal(a, b), "equal")
        return ctx.emit(ops.Add(greater, ctx.emit(ops.Where(equal, two, more))), "sum")

    return ctx.cast(_scanned(ctx, wide, axis, join, -math.inf), x.type.dtype)


@converts("aten::diff")
def diff(
    ctx: ConversionContext,
    x: Value,
    n: int = 1,
    dim: int = -1,
    prepend: Value | None = None,
    append: Value | None = None,
) -> Value:
    """aten::diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor.

    Any dtype; bool differs by exclusive or.
    """
    if x.type.rank == 0 or n < 0:
        raise ConversionError("diff: an axis at least, and n of 0 or more", got=f"{x.type}, {n}")
    axis = ctx.axis(dim, x.type.rank)
    parts = [part for part in (prepend, x, append) if part is not None]
    if any(part.type.rank != x.type.rank for part in parts):
        raise ConversionError("diff: prepend and append are of the input's rank", got=x.type)
    value = cat(ctx, parts, axis) if n and len(parts) > 1 else x
    for _ in range(n):
        size = value.type.shape[axis]
        if size == 0:
            break
        if is_less(0, size) is not True:
            raise ctx.unsupported(
                "n",
                f"size {size} may be 0 before the last difference",
                raise_least(one.name for one in symbols(size)),
            )
        later = ctx.emit(ops.Slice(value, axis, 1, size - 1), "later")
        earlier = ctx.emit(ops.Slice(value, axis, 0, size - 1), "earlier")
        subtract = ops.Xor if value.type.dtype is DType.BOOL else ops.Sub
        value = ctx.emit(subtract(later, earlier), "difference")
    return value


def _typed(ctx: ConversionContext, x: Value, dtype: DType | None) -> Value:
    own = x.type.dtype
    stays = own.is_float or ctx.operator.endswith("_")
    target = dtype if dtype is not None else own if stays else DType.INT64
    if target is DType.BOOL and _has_several(x):
        raise ConversionError(f"{ctx.operator}: not in bool", got=x.type)
    return ctx.cast(x, target)


def _has_several(x: Value) -> bool:
    return bool(x.type.rank) and 0 not in x.type.shape


def _scanned(ctx: ConversionContext, x: Value, axis: int, join: Join, neutral: float) -> Value:
    """Every element joined with all before it; ``neutral`` changes nothing."""
    if not x.type.rank:
        return x
    size, step = x.type.shape[axis], 1
    while step < bounds(size)[1]:
        before = tuple(step if each == axis else 0 for each in range(x.type.rank))
        padded = ctx.emit(ops.Pad(x, before, (0,) * x.type.rank, "constant", neutral), "padded")
        x = join(ctx.emit(ops.Slice(padded, axis, 0, size), "earlier"), x)
        step *= 2
    return x


def _extremes(ctx: ConversionContext, x: Value, dim: int, *, largest: bool) -> tuple[Value, Value]:
    axis, dtype = ctx.axis(dim, x.type.rank), x.type.dtype
    if not x.type.rank:
        return x, ctx.number(0, DType.INT64, "place")
    key = ctx.cast(x, DType.INT32) if dtype is DType.BOOL else x
    pick = ops.Maximum if largest else ops.Minimum
    low, high = key.type.dtype.limits
    if key.type.dtype.is_float:
        low, high = -math.inf, math.inf
    neutral = low if largest else high
    values = _scanned(ctx, key, axis, lambda a, b: ctx.emit(pick(a, b), "best"), neutral)
    found = ctx.emit(ops.Equal(key, values), "found")
    if key.type.dtype.is_float:
        found = ctx.emit(ops.Or(found, is_nan(ctx, key)), "found")
    place = ctx.emit(ops.Where(found, places(ctx, key, axis), ctx.number(0, DType.INT64)), "place")
    last = _scanned(ctx, place, axis, lambda a, b: ctx.emit(ops.Maximum(a, b), "last"), 0)
    return ctx.cast(values, dtype), last


def _powers(ctx: ConversionContext, x: Value, columns: int, *, increasing: bool) -> Value:
    """Powers from 0 along a new last axis, or to 0."""
    rank = x.type.rank
    value = x if x.type.dtype.is_float else ctx.cast(x, DType.INT64)
    ones = ctx.emit(ops.Full((*x.type.shape, min(columns, 1)), 1, value.type.dtype), "ones")
    if columns < 2:
        return ones
    repeated = ctx.emit(
        ops.Expand(ctx.emit(ops.Unsqueeze(value, (rank,)), "column"), (*x.type.shape, columns - 1)),
        "repeated",
    )
    powers = ctx.emit(ops.Concat((ones, cumprod(ctx, repeated, rank)), rank), "powers")
    if increasing:
        return powers
    order = ctx.constant(list(range(columns))[::-1], DType.INT64, "order")
    return ctx.emit(ops.Gather(powers, order, rank))
