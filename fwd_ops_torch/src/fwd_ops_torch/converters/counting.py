"""Converters of operators that count elements, into results of a fixed size."""

from __future__ import annotations

import math

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_less, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converters._factories import require_float
from fwd_ops_torch.converters._numerics import flat, widened
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::histc")
def histc(
    ctx: ConversionContext, x: Value, bins: int = 100, min: float = 0, max: float = 0
) -> Value:
    """aten::histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor. Floats.

    Bins of one width; the last one has both its ends. With min equal to max from the least to the
    greatest element. Every element is compared with every bin. Computed in float32, where torch
    rounds float16 and bfloat16: an element at the edge of two bins may be in the other one.
    Infinities and NaN, with no min and max, are undefined.
    """
    require_float(ctx, x)
    if bins < 1 or not math.isfinite(min) or not math.isfinite(max) or min > max:
        raise ConversionError(
            "histc: expected a bin or more, and finite min up to max", got=f"{bins}, {min}, {max}"
        )
    if x.type.numel == 0:
        return ctx.emit(ops.Full((bins,), 0.0, x.type.dtype))
    value = widened(ctx, flat(ctx, x) if x.type.rank else ctx.emit(ops.Unsqueeze(x, (0,))))
    dtype = value.type.dtype
    low, high = ctx.number(min, dtype, "low"), ctx.number(max, dtype, "high")
    if min == max:
        low, high = ctx.emit(ops.ReduceMin(value, (0,))), ctx.emit(ops.ReduceMax(value, (0,)))
        one = ctx.number(1.0, dtype, "one")
        same = ctx.emit(ops.Equal(low, high), "same")
        low, high = (
            ctx.emit(ops.Where(same, ctx.emit(wider(end, one)), end), "end")
            for wider, end in ((ops.Sub, low), (ops.Add, high))
        )
    last, width = ctx.number(bins - 1, dtype, "last"), ctx.emit(ops.Sub(high, low), "width")
    scaled = ctx.emit(ops.Mul(ctx.emit(ops.Sub(value, low)), ctx.number(bins, dtype)), "scaled")
    place = ctx.emit(ops.Floor(ctx.emit(ops.Div(scaled, width))), "place")
    # Compilers divide by a constant in ways of their own, so the least element may lie below 0.
    place = ctx.emit(ops.Clamp(ctx.emit(ops.Minimum(place, last), "place"), minimum=0.0), "place")
    over, under = ctx.emit(ops.Greater(value, high)), ctx.emit(ops.Less(value, low))
    outside = ctx.emit(ops.Or(over, under), "outside")
    place = ctx.emit(ops.Where(outside, ctx.number(-1.0, dtype), place), "place")
    numbered = ctx.emit(ops.Arange(bins, 0.0, 1.0, dtype), "bins")
    met = ctx.emit(ops.Equal(ctx.emit(ops.Unsqueeze(place, (1,))), numbered), "met")
    return ctx.cast(ctx.emit(ops.ReduceSum(ctx.cast(met, dtype), (0,)), "counts"), x.type.dtype)


@converts("aten::nonzero_static")
def nonzero_static(ctx: ConversionContext, x: Value, size: Dim, fill_value: int = -1) -> Value:
    """aten::nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor.

    The places of the first elements that are not zero: [size, axes], rows of the filler after
    them. Any dtype.
    """
    if is_less(size, 0) is True:
        raise ConversionError("nonzero_static: size is negative", got=size)
    rank = x.type.rank
    if not rank or x.type.numel == 0 or size == 0:
        return ctx.emit(ops.Full((size, rank), fill_value, DType.INT64))
    count = x.type.numel
    mask = ctx.cast(flat(ctx, ctx.cast(x, DType.BOOL)), DType.INT64)
    so_far = ctx.emit(ops.CumSum(mask, 0), "so_far")
    one = ctx.number(1, DType.INT64, "one")
    # What is zero, or one too many, goes to a place behind the last one.
    beyond = ctx.number(size, DType.INT64, "beyond")
    turn = ctx.emit(ops.Minimum(ctx.emit(ops.Sub(so_far, one)), beyond), "turn")
    target = ctx.emit(ops.Where(ctx.cast(mask, DType.BOOL), turn, beyond), "target")
    empty = ctx.emit(ops.Full((size + 1,), 0, DType.INT64), "empty")
    counted = ctx.emit(ops.Arange(count), "counted")
    spread = ctx.emit(ops.ScatterElements(empty, target, counted, 0), "spread")
    place = ctx.emit(ops.Slice(spread, 0, 0, size), "place")
    columns = []
    for axis, length in enumerate(x.type.shape):
        stride = ctx.number(product(x.type.shape[axis + 1 :]), DType.INT64, "stride")
        whole = ctx.emit(ops.FloorDiv(place, stride), "whole")
        column = ctx.emit(ops.Mod(whole, ctx.number(length, DType.INT64, "length")), "column")
        columns.append(ctx.emit(ops.Unsqueeze(column, (1,)), "column"))
    places = ctx.emit(ops.Concat(tuple(columns), 1), "places")
    total = ctx.emit(ops.ReduceSum(mask, (0,)), "total")
    turns = ctx.emit(ops.Arange(size), "turns")
    found = ctx.emit(ops.Less(turns, total), "found")
    filler = ctx.number(fill_value, DType.INT64, "filler")
    return ctx.emit(ops.Where(ctx.emit(ops.Unsqueeze(found, (1,))), places, filler))
