"""Converters that move elements between spatial axes and channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, DType, Value, is_equal, ops
from fwd_core.ir.dims import divide_exactly, product
from fwd_core.ir.ops.convolution import window_count
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::pixel_shuffle")
def pixel_shuffle(ctx: ConversionContext, x: Value, upscale_factor: int) -> Value:
    """aten::pixel_shuffle(Tensor self, int upscale_factor) -> Tensor. [*, C r^2, H, W] -> [*, C, H r, W r]."""
    factor = _factor(ctx, x, upscale_factor)
    *lead, channels, height, width = x.type.shape
    maps = _divided(ctx, channels, factor * factor, "channels")
    split = ctx.emit(ops.Reshape(x, (*lead, maps, factor, factor, height, width)), "split")
    n = len(lead)
    order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    moved = ctx.emit(ops.Transpose(split, order), "moved")
    return ctx.emit(ops.Reshape(moved, (*lead, maps, height * factor, width * factor)))


@converts("aten::pixel_unshuffle")
def pixel_unshuffle(ctx: ConversionContext, x: Value, downscale_factor: int) -> Value:
    """aten::pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor. The inverse of pixel_shuffle."""
    factor = _factor(ctx, x, downscale_factor)
    *lead, channels, height, width = x.type.shape
    rows = _divided(ctx, height, factor, "height")
    columns = _divided(ctx, width, factor, "width")
    split = ctx.emit(ops.Reshape(x, (*lead, channels, rows, factor, columns, factor)), "split")
    n = len(lead)
    order = (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    moved = ctx.emit(ops.Transpose(split, order), "moved")
    return ctx.emit(ops.Reshape(moved, (*lead, channels * factor * factor, rows, columns)))


@converts("aten::channel_shuffle", "aten::native_channel_shuffle")
def channel_shuffle(ctx: ConversionContext, x: Value, groups: Dim) -> Value:
    """aten::channel_shuffle(Tensor self, SymInt groups) -> Tensor. 3 axes or more, any dtype."""
    if x.type.rank < 3:
        raise ConversionError(f"{ctx.operator}: 3 axes or more", got=x.type)
    count = ctx.static(groups, "groups")
    if count < 1:
        raise ConversionError(f"{ctx.operator}: groups must be positive", got=count)
    batch, channels, *rest = x.type.shape
    each = _divided(ctx, channels, count, "channels")
    split = ctx.emit(ops.Reshape(x, (batch, count, each, *rest)), "split")
    order = (0, 2, 1, *range(3, x.type.rank + 1))
    return ctx.emit(ops.Reshape(ctx.emit(ops.Transpose(split, order), "moved"), x.type.shape))


@converts("aten::im2col")
def im2col(
    ctx: ConversionContext,
    x: Value,
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Value:
    """aten::im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor.

    [N, C, H, W] -> [N, C kh kw, windows], or without N. Floats and bool.
    """
    _require_dtype(ctx, x)
    if x.type.rank == 3:
        image = ctx.emit(ops.Unsqueeze(x, (0,)))
        return ctx.emit(
            ops.Squeeze(im2col(ctx, image, kernel_size, dilation, padding, stride), (0,))
        )
    if x.type.rank != 4:
        raise ConversionError(f"{ctx.operator}: 3 or 4 axes", got=x.type)
    kernel, rates, pads, steps = map(_pair, (kernel_size, dilation, padding, stride))
    _require_positive(ctx, kernel, rates, steps)
    for size, k, pad, rate in zip(x.type.shape[2:], kernel, pads, rates, strict=True):
        ctx.require_enough("kernel_size", (k - 1) * rate + 1, size + 2 * pad)
    counts = _windows(x.type.shape[2:], kernel, rates, pads, steps)
    if any(pads):
        x = ctx.emit(ops.Pad(x, (0, 0, *pads), (0, 0, *pads)), "padded")
    for axis, (k, count, rate, step) in enumerate(
        zip(kernel, counts, rates, steps, strict=True), 2
    ):
        x = ctx.emit(ops.Gather(x, _places(ctx, k, rate, count, step), axis), "windows")
    batch, channels = x.type.shape[:2]
    split = (batch, channels, kernel[0], counts[0], kernel[1], counts[1])
    moved = ctx.emit(ops.Transpose(ctx.emit(ops.Reshape(x, split), "split"), (0, 1, 2, 4, 3, 5)))
    return ctx.emit(ops.Reshape(moved, (batch, channels * product(kernel), product(counts))))


@converts("aten::col2im")
def col2im(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim],
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Value:
    """aten::col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor.

    [N, C kh kw, windows] -> [N, C, *output_size], or without N. Floats; fixed spatial sizes.
    """
    if x.type.dtype is DType.BOOL:
        raise ctx.unsupported("self", "a sum of bool", "convert it to float first")
    _require_dtype(ctx, x)
    if x.type.rank == 2:
        image = ctx.emit(ops.Unsqueeze(x, (0,)))
        result = col2im(ctx, image, output_size, kernel_size, dilation, padding, stride)
        return ctx.emit(ops.Squeeze(result, (0,)))
    if x.type.rank != 3:
        raise ConversionError(f"{ctx.operator}: 2 or 3 axes", got=x.type)
    kernel, rates, pads, steps = map(_pair, (kernel_size, dilation, padding, stride))
    _require_positive(ctx, kernel, rates, steps)
    sizes = [ctx.static(size, "output_size") for size in output_size]
    counts = _windows(sizes, kernel, rates, pads, steps)
    batch, columns, windows = x.type.shape
    if is_equal(windows, product(counts)) is not True:
        raise ConversionError(
            f"{ctx.operator}: another number of windows", expected=product(counts), got=x.type
        )
    taps = math.prod(kernel)
    channels = ctx.static(_divided(ctx, columns, taps, "rows"), "self")
    # Each row of a window goes to one element: the transpose of a convolution that picks it.
    pick = np.tile(np.eye(taps).reshape(taps, 1, *kernel), (channels, 1, 1, 1))
    weight = ctx.constant(pick, x.type.dtype, "pick")
    folded = ctx.emit(ops.Reshape(x, (batch, columns, *counts)), "windows")
    more = tuple(
        (size + 2 * p - (k - 1) * rate - 1) % step
        for size, p, k, rate, step in zip(sizes, pads, kernel, rates, steps, strict=True)
    )
    return ctx.emit(
        ops.ConvolutionTranspose(folded, weight, None, steps, pads, more, rates, channels)
    )


def _factor(ctx: ConversionContext, x: Value, factor: int) -> int:
    if x.type.rank < 3:
        raise ConversionError(f"{ctx.operator}: 3 axes or more", got=x.type)
    if factor < 1:
        raise ConversionError(f"{ctx.operator}: the factor must be positive", got=factor)
    return factor


def _divided(ctx: ConversionContext, size: Dim, divisor: int, what: str) -> Dim:
    quotient = divide_exactly(size, divisor)
    if quotient is None:
        raise ConversionError(
            f"{ctx.operator}: {what} must be a multiple of {divisor}, whatever the sizes are",
            got=size,
            hint=f"say so of a dynamic size, with the factor before its name: '{divisor}*name'"
            if isinstance(size, DimExpr)
            else None,
        )
    return quotient


def _require_dtype(ctx: ConversionContext, x: Value) -> None:
    if x.type.dtype.is_integer:
        raise ConversionError(f"{ctx.operator}: not for integers", got=x.type)


def _require_positive(ctx: ConversionContext, *listed: tuple[int, ...]) -> None:
    if any(entry < 1 for entries in listed for entry in entries):
        raise ConversionError(
            f"{ctx.operator}: kernel_size, dilation and stride must be positive", got=listed
        )


def _pair(entries: Sequence[int]) -> tuple[int, ...]:
    listed = tuple(entries)
    return listed * 2 if len(listed) == 1 else listed


def _windows(
    sizes: Sequence[Dim],
    kernel: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: tuple[int, ...],
    stride: tuple[int, ...],
) -> list[Dim]:
    listed = zip(sizes, kernel, stride, padding, dilation, strict=True)
    return [window_count(size, k, step, 2 * p, rate) for size, k, step, p, rate in listed]


def _places(ctx: ConversionContext, kernel: int, rate: int, count: Dim, step: int) -> Value:
    """[kernel * count] indices: where each element of each window is."""
    if isinstance(count, int):
        places = np.arange(kernel)[:, None] * rate + np.arange(count) * step
        return ctx.constant(places.reshape(-1), DType.INT64, "places")
    firsts = ctx.emit(ops.Arange(count, 0, step), "firsts")
    rows = ctx.constant(np.arange(kernel)[:, None] * rate, DType.INT64, "rows")
    return ctx.emit(ops.Reshape(ctx.emit(ops.Add(rows, firsts), "places"), (kernel * count,)))
