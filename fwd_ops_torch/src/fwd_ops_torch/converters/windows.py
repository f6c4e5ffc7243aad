"""Converters of windows of a dynamic length; of a fixed one torch computes them itself.

Computed in float32 and rounded once, to half precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_ops_torch.converters.bessel import i0
from fwd_ops_torch.converters.creation import PLACE
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.context import default_float

#: Of Blackman, "The measurement of power spectra" (1958).
_BLACKMAN = (0.42, 0.5, 0.08)


@converts("aten::hann_window", no_effect=PLACE)
def hann_window(
    ctx: ConversionContext,
    window_length: Dim,
    periodic: bool = True,
    dtype: DType | None = None,
) -> Value:
    """aten::hann_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _cosines(ctx, window_length, periodic, dtype, (0.5, 0.5))


@converts("aten::hamming_window", no_effect=PLACE)
def hamming_window(
    ctx: ConversionContext,
    window_length: Dim,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    dtype: DType | None = None,
) -> Value:
    """aten::hamming_window.periodic_alpha_beta(int window_length, bool periodic, float alpha, float beta, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _cosines(ctx, window_length, periodic, dtype, (alpha, beta))


@converts("aten::blackman_window", no_effect=PLACE)
def blackman_window(
    ctx: ConversionContext,
    window_length: Dim,
    periodic: bool = True,
    dtype: DType | None = None,
) -> Value:
    """aten::blackman_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _cosines(ctx, window_length, periodic, dtype, _BLACKMAN)


@converts("aten::bartlett_window", no_effect=PLACE)
def bartlett_window(
    ctx: ConversionContext,
    window_length: Dim,
    periodic: bool = True,
    dtype: DType | None = None,
) -> Value:
    """aten::bartlett_window.periodic(int window_length, bool periodic, *, ScalarType? dtype=None, ...) -> Tensor."""

    def triangle(share: Value) -> Value:
        one = ctx.number(1.0, share.type.dtype, "one")
        return ctx.emit(ops.Sub(one, ctx.emit(ops.Abs(_across(ctx, share)), "apart")), "triangle")

    return _window(ctx, window_length, periodic, dtype, triangle)


@converts("aten::kaiser_window", no_effect=PLACE)
def kaiser_window(
    ctx: ConversionContext,
    window_length: Dim,
    periodic: bool = True,
    beta: float = 12.0,
    dtype: DType | None = None,
) -> Value:
    """aten::kaiser_window.beta(int window_length, bool periodic, float beta, *, ScalarType? dtype=None, ...) -> Tensor."""

    def bell(share: Value) -> Value:
        across = _across(ctx, share)
        one, width = (ctx.number(number, share.type.dtype) for number in (1.0, beta))
        rest = ctx.emit(ops.Sub(one, ctx.emit(ops.Mul(across, across), "square")), "rest")
        inside = ctx.emit(ops.Sqrt(ctx.emit(ops.Relu(rest))), "inside")
        return ctx.emit(ops.Div(i0(ctx, ctx.emit(ops.Mul(width, inside))), i0(ctx, width)), "bell")

    return _window(ctx, window_length, periodic, dtype, bell)


def _across(ctx: ConversionContext, share: Value) -> Value:
    """From 0 to 1 as from -1 to 1."""
    one, two = (ctx.number(number, share.type.dtype) for number in (1.0, 2.0))
    return ctx.emit(ops.Sub(ctx.emit(ops.Mul(share, two), "twice"), one), "across")


def _cosines(
    ctx: ConversionContext,
    length: Dim,
    periodic: bool,
    dtype: DType | None,
    terms: tuple[float, ...],
) -> Value:
    """Terms times cosines of 0, 1 and 2 turns, with signs that alternate."""

    def wave(share: Value) -> Value:
        total = ctx.number(terms[0], share.type.dtype, "mean")
        for turns, term in enumerate(terms[1:], 1):
            turn = ctx.number(2 * math.pi * turns, share.type.dtype, "turn")
            cosine = ctx.emit(ops.Cos(ctx.emit(ops.Mul(share, turn), "angle")), "cosine")
            factor = ctx.number(-term if turns % 2 else term, share.type.dtype, "term")
            total = ctx.emit(ops.Add(total, ctx.emit(ops.Mul(cosine, factor))), "wave")
        return total

    return _window(ctx, length, periodic, dtype, wave)


def _window(
    ctx: ConversionContext,
    length: Dim,
    periodic: bool,
    dtype: DType | None,
    compute: Callable[[Value], Value],
) -> Value:
    """What is computed of the share of the window that lies before each place; 1 of one place."""
    kind = default_float() if dtype is None else dtype
    if not kind.is_float:
        raise ConversionError(f"{ctx.operator}: a window is of floats", got=kind)
    wide = DType.FLOAT32 if kind.itemsize < 4 else kind
    places = ctx.cast(ctx.emit(ops.Arange(length), "places"), wide)
    one, count = ctx.number(1.0, wide, "one"), ctx.number(length, wide, "length")
    if not periodic:
        count = ctx.emit(ops.Maximum(ctx.emit(ops.Sub(count, one)), one), "last")
    made = compute(ctx.emit(ops.Div(places, count), "share"))
    if is_equal(length, 1) is not False:
        single = ctx.emit(ops.Equal(ctx.number(length, wide, "length"), one), "single")
        made = ctx.emit(ops.Where(single, one, made), "window")
    return ctx.cast(made, kind)
