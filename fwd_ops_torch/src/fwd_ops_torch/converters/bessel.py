"""Converters of Bessel functions.

Neither backend has them. They are the polynomials of Abramowitz and Stegun, "Handbook of
Mathematical Functions" (1964), 9.8, which differ from the functions by 6e-7 of them; with
the rounding of single precision, and of the exponential, by 2e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fwd_core.ir import Value, ops
from fwd_ops_torch.converters._factories import both, in_single, refuse_half
from fwd_ops_torch.converters._numerics import polynomial
from fwd_ops_torch.converting import ConversionContext, converts

#: 9.8.1 and 9.8.2: I0 by the powers of (x / 3.75)^2, and sqrt(x) e^-x I0 by those of 3.75 / x.
_I0 = ((1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813),
       (0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537,
        -0.01647633, 0.00392377))  # fmt: skip
#: 9.8.3 and 9.8.4: the same of I1, but I1 / x at first.
_I1 = ((0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411),
       (0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555, 0.02282967, -0.02895312,
        0.01787654, -0.00420059))  # fmt: skip
#: 9.8.5 and 9.8.6: K0 + log(x / 2) I0 by the powers of (x / 2)^2, and sqrt(x) e^x K0 by those of
#: 2 / x.
_K0 = ((-0.57721566, 0.42278420, 0.23069756, 0.03488590, 0.00262698, 0.00010750, 0.00000740),
       (1.25331414, -0.07832358, 0.02189568, -0.01062446, 0.00587872, -0.00251540,
        0.00053208))  # fmt: skip
#: 9.8.7 and 9.8.8: x (K1 - log(x / 2) I1), and the same of K1.
_K1 = ((1.0, 0.15443144, -0.67278579, -0.18156897, -0.01919402, -0.00110404, -0.00004686),
       (1.25331414, 0.23498619, -0.03655620, 0.01504268, -0.00780353, 0.00325614,
        -0.00068245))  # fmt: skip


@converts(*both("i0"), "aten::special_i0")
def i0(ctx: ConversionContext, x: Value) -> Value:
    """aten::i0(Tensor self) -> Tensor. Integers and bool give float."""
    return _converted(ctx, x, lambda value: _first_kind(ctx, value, 0, scaled=False))


@converts("aten::special_i0e")
def i0e(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_i0e(Tensor self) -> Tensor: i0 times exp(-|x|)."""
    return _converted(ctx, x, lambda value: _first_kind(ctx, value, 0, scaled=True))


@converts("aten::special_i1")
def i1(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_i1(Tensor self) -> Tensor. Integers and bool give float."""
    return _converted(ctx, x, lambda value: _first_kind(ctx, value, 1, scaled=False))


@converts("aten::special_i1e")
def i1e(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_i1e(Tensor self) -> Tensor: i1 times exp(-|x|)."""
    return _converted(ctx, x, lambda value: _first_kind(ctx, value, 1, scaled=True))


@converts("aten::special_modified_bessel_i0")
def modified_i0(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_modified_bessel_i0(Tensor self) -> Tensor. i0, but not for half precision."""
    refuse_half(ctx, x)
    return i0(ctx, x)


@converts("aten::special_modified_bessel_i1")
def modified_i1(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_modified_bessel_i1(Tensor self) -> Tensor. i1, but not for half precision."""
    refuse_half(ctx, x)
    return i1(ctx, x)


@converts("aten::special_modified_bessel_k0")
def k0(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_modified_bessel_k0(Tensor self) -> Tensor. NaN below 0, infinity at 0."""
    return _second_kind(ctx, _wide(ctx, x), 0, scaled=False)


@converts("aten::special_scaled_modified_bessel_k0")
def scaled_k0(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_scaled_modified_bessel_k0(Tensor x) -> Tensor: k0 times exp(x)."""
    return _second_kind(ctx, _wide(ctx, x), 0, scaled=True)


@converts("aten::special_modified_bessel_k1")
def k1(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_modified_bessel_k1(Tensor self) -> Tensor. NaN below 0, infinity at 0."""
    return _second_kind(ctx, _wide(ctx, x), 1, scaled=False)


@converts("aten::special_scaled_modified_bessel_k1")
def scaled_k1(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_scaled_modified_bessel_k1(Tensor x) -> Tensor: k1 times exp(x)."""
    return _second_kind(ctx, _wide(ctx, x), 1, scaled=True)


@converts("aten::special_spherical_bessel_j0")
def spherical_j0(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_spherical_bessel_j0(Tensor x) -> Tensor: sin(x) / x, 1 at 0, 0 at infinity."""

    def compute(value: Value) -> Value:
        dtype = value.type.dtype
        zero, one = (ctx.number(each, dtype) for each in (0.0, 1.0))
        ratio = ctx.emit(ops.Div(ctx.emit(ops.Sin(value)), value), "ratio")
        near = ctx.emit(ops.Where(ctx.emit(ops.Equal(value, zero)), one, ratio), "near")
        size = ctx.emit(ops.Abs(value), "size")
        endless = ctx.emit(ops.Equal(size, ctx.number(math.inf, dtype)), "endless")
        return ctx.emit(ops.Where(endless, zero, near))

    return compute(_wide(ctx, x))


def _converted(ctx: ConversionContext, x: Value, compute: Callable[[Value], Value]) -> Value:
    return in_single(ctx, ctx.to_float(x), compute)


def _first_kind(ctx: ConversionContext, x: Value, order: int, *, scaled: bool) -> Value:
    dtype = x.type.dtype
    near_terms, far_terms = (_I0, _I1)[order]
    size, bound = ctx.emit(ops.Abs(x), "size"), ctx.number(3.75, dtype, "bound")
    less = ctx.emit(ops.Less(size, bound), "less")
    # Each polynomial is of numbers that it is for, so that no other overflows.
    inner = ctx.emit(ops.Div(ctx.emit(ops.Minimum(size, bound)), bound), "inner")
    near = polynomial(ctx, ctx.emit(ops.Mul(inner, inner)), near_terms)
    if order:
        near = ctx.emit(ops.Mul(near, size), "near")
    outer = ctx.emit(ops.Maximum(size, bound), "outer")
    far = polynomial(ctx, ctx.emit(ops.Div(bound, outer)), far_terms)
    far = ctx.emit(ops.Div(far, ctx.emit(ops.Sqrt(outer))), "far")
    if scaled:
        near = ctx.emit(ops.Mul(near, ctx.emit(ops.Exp(ctx.emit(ops.Neg(size))))), "near")
    else:
        far = ctx.emit(ops.Mul(far, ctx.emit(ops.Exp(outer))), "far")
    found = ctx.emit(ops.Where(less, near, far), "bessel")
    return _with_sign(ctx, found, x) if order else found


def _wide(ctx: ConversionContext, x: Value) -> Value:
    refuse_half(ctx, x)
    return ctx.to_float(x)


def _second_kind(ctx: ConversionContext, x: Value, order: int, *, scaled: bool) -> Value:
    dtype = x.type.dtype
    near_terms, far_terms = (_K0, _K1)[order]
    two = ctx.number(2.0, dtype, "two")
    less = ctx.emit(ops.LessEqual(x, two), "less")
    inner = ctx.emit(ops.Minimum(x, two), "inner")
    half = ctx.emit(ops.Div(inner, two), "half")
    rest = polynomial(ctx, ctx.emit(ops.Mul(half, half)), near_terms)
    product = ctx.emit(
        ops.Mul(ctx.emit(ops.Log(half)), _first_kind(ctx, inner, order, scaled=False)), "product"
    )
    if order:
        near = ctx.emit(ops.Add(product, ctx.emit(ops.Div(rest, inner))), "near")
    else:
        near = ctx.emit(ops.Sub(rest, product), "near")
    outer = ctx.emit(ops.Maximum(x, two), "outer")
    far = polynomial(ctx, ctx.emit(ops.Div(two, outer)), far_terms)
    far = ctx.emit(ops.Div(far, ctx.emit(ops.Sqrt(outer))), "far")
    if scaled:
        near = ctx.emit(ops.Mul(near, ctx.emit(ops.Exp(inner))), "near")
    else:
        far = ctx.emit(ops.Mul(far, ctx.emit(ops.Exp(ctx.emit(ops.Neg(outer))))), "far")
    found = ctx.emit(ops.Where(less, near, far), "bessel")
    zero, infinity = (ctx.number(each, dtype) for each in (0.0, math.inf))
    # At 0 itself there is no product.
    return ctx.emit(ops.Where(ctx.emit(ops.Equal(x, zero)), infinity, found))


def _with_sign(ctx: ConversionContext, found: Value, x: Value) -> Value:
    below = ctx.emit(ops.Less(x, ctx.number(0.0, x.type.dtype)), "below")
    return ctx.emit(ops.Where(below, ctx.emit(ops.Neg(found)), found))
