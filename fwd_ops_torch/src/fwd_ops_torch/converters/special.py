"""Converters of functions of the normal distribution's tails.

As in torch, none takes float16 and bfloat16. What is fitted here is fitted to torch's own results in
float64, by least squares of the error relative to them at Chebyshev points.
"""

from __future__ import annotations

import math

from fwd_core.ir import Value, ops
from fwd_ops_torch.converters._factories import refuse_half
from fwd_ops_torch.converters._numerics import polynomial
from fwd_ops_torch.converters.unary import ERFINV_FAR, ERFINV_NEAR
from fwd_ops_torch.converting import ConversionContext, converts

#: erfcx(x) / t by the powers of t - 1/2, where t = 2.5 / (2.5 + x), for x of 0 and more. Fitted,
#: right to 7e-9.
_ERFCX = (0.421612727, 0.643721533, 0.726262969, 0.54799889, 0.181491703, -0.107311815,
          -0.122914923, 0.0212345328, 0.0679866109, -0.00560545654, -0.0295064323)  # fmt: skip
#: Beyond the reach of erfinv's terms: erfinv(y) / y by the powers of sqrt(w) - 7.15, where
#: w = -log(1 - y^2) from 16 on. Fitted up to the least float32, right to 3e-7.
_ERFINV_TAIL = (
    7.02029664,
    1.00844409,
    -0.000506339143,
    7.84372086e-06,
    3.61533258e-06,
    -8.95401319e-07,
    4.57437565e-07,
    -8.90272357e-08,
)


@converts("aten::special_erfcx")
def erfcx(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_erfcx(Tensor self) -> Tensor: exp(x^2) erfc(x).

    Right to 1e-6 of itself for x from 0; below, where it is nearly 2 exp(x^2), to 1e-7 x^2.
    """

    def compute(value: Value) -> Value:
        dtype = value.type.dtype
        found = _erfcx(ctx, ctx.emit(ops.Abs(value), "size"))
        power = ctx.emit(ops.Exp(ctx.emit(ops.Mul(value, value))), "power")
        twice = ctx.emit(ops.Mul(power, ctx.number(2.0, dtype)), "twice")
        below = ctx.emit(ops.Less(value, ctx.number(0.0, dtype)), "below")
        return ctx.emit(ops.Where(below, ctx.emit(ops.Sub(twice, found)), found))

    return compute(_wide(ctx, x))


@converts("aten::special_log_ndtr")
def log_ndtr(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_log_ndtr(Tensor self) -> Tensor: log of the normal distribution function.

    Right to 1e-6 of itself: below 0 it is log(erfcx(z) / 2) - z^2, and above
    log(1 - exp(-z^2) erfcx(z) / 2), with z = |x| / sqrt(2).
    """

    def compute(value: Value) -> Value:
        dtype = value.type.dtype
        half, zero = (ctx.number(each, dtype) for each in (0.5, 0.0))
        size = ctx.emit(ops.Abs(value), "size")
        z = ctx.emit(ops.Mul(size, ctx.number(math.sqrt(0.5), dtype)), "z")
        square = ctx.emit(ops.Mul(ctx.emit(ops.Mul(size, size)), half), "square")
        scaled = ctx.emit(ops.Mul(_erfcx(ctx, z), half), "half")
        under = ctx.emit(ops.Sub(ctx.emit(ops.Log(scaled)), square), "under")
        tail = ctx.emit(ops.Mul(ctx.emit(ops.Exp(ctx.emit(ops.Neg(square)))), scaled), "tail")
        over = ctx.emit(ops.Log1p(ctx.emit(ops.Neg(tail))), "over")
        return ctx.emit(ops.Where(ctx.emit(ops.Less(value, zero)), under, over))

    return compute(_wide(ctx, x))


@converts("aten::special_ndtri")
def ndtri(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_ndtri(Tensor self) -> Tensor: where the normal distribution function is x.

    sqrt(2) erfinv(2x - 1), with 1 - (2x - 1)^2 computed as 4x (1 - x), which loses no tail. Right
    to 1e-6 of itself; infinite at 0 and 1, NaN outside.
    """

    def compute(value: Value) -> Value:
        dtype = value.type.dtype

        def number(constant: float) -> Value:
            return ctx.number(constant, dtype, "number")

        one = number(1.0)
        rest = ctx.emit(ops.Sub(one, value), "rest")
        both = ctx.emit(ops.Mul(ctx.emit(ops.Mul(value, rest)), number(4.0)), "both")
        w = ctx.emit(ops.Neg(ctx.emit(ops.Log(both))), "w")
        root = ctx.emit(ops.Sqrt(w), "root")
        near = polynomial(ctx, ctx.emit(ops.Sub(w, number(2.5))), ERFINV_NEAR)
        far = polynomial(ctx, ctx.emit(ops.Sub(root, number(3.0))), ERFINV_FAR)
        tail = polynomial(ctx, ctx.emit(ops.Sub(root, number(7.15))), _ERFINV_TAIL)
        ratio = ctx.emit(ops.Where(ctx.emit(ops.Less(w, number(16.0))), far, tail), "ratio")
        ratio = ctx.emit(ops.Where(ctx.emit(ops.Less(w, number(5.0))), near, ratio), "ratio")
        infinity = number(math.inf)
        is_end = ctx.emit(ops.Equal(w, infinity), "is_end")
        factor = ctx.emit(ops.Where(is_end, infinity, ratio), "factor")
        place = ctx.emit(ops.Sub(value, number(0.5)), "place")
        scaled = ctx.emit(ops.Mul(place, number(2 * math.sqrt(2))), "scaled")
        return ctx.emit(ops.Mul(scaled, factor))

    return compute(_wide(ctx, x))


def _wide(ctx: ConversionContext, x: Value) -> Value:
    refuse_half(ctx, x)
    return ctx.to_float(x)


def _erfcx(ctx: ConversionContext, x: Value) -> Value:
    """For x of 0 and more."""
    dtype = x.type.dtype
    reach = ctx.number(2.5, dtype, "reach")
    t = ctx.emit(ops.Div(reach, ctx.emit(ops.Add(reach, x))), "t")
    centred = ctx.emit(ops.Sub(t, ctx.number(0.5, dtype)), "centred")
    return ctx.emit(ops.Mul(t, polynomial(ctx, centred, _ERFCX)), "erfcx")
