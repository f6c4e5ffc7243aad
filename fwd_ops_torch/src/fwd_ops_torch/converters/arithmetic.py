"""Converters of functions of several tensors, element by element, that are compositions."""

from __future__ import annotations

import math
from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._numerics import require_divisor
from fwd_ops_torch.converters.elementwise import clamp, maximum, minimum
from fwd_ops_torch.converting import ConversionContext, Number, Operand, converts
from fwd_ops_torch.converting.context import default_float
from fwd_ops_torch.converting.promotion import result_dtype

LN2 = math.log(2)


@converts("aten::fmod", "aten::fmod_")
def fmod(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::fmod.Tensor(Tensor self, Tensor other) -> Tensor, with the sign of self. Not bool."""
    a, b = ctx.promote(x, other)
    if a.type.dtype is DType.BOOL:
        raise ConversionError("fmod: not for bool", hint="cast to an integer dtype")
    require_divisor(ctx, a, b, other)
    if not a.type.dtype.is_float:
        whole = ctx.emit(ops.Mul(ctx.emit(ops.TruncDiv(a, b)), b), "whole")
        return ctx.emit(ops.Sub(a, whole))
    rest = ctx.emit(ops.Mod(ctx.emit(ops.Abs(a)), ctx.emit(ops.Abs(b))))
    negative = ctx.emit(ops.Less(a, ctx.number(0, a.type.dtype)))
    return ctx.emit(ops.Where(negative, ctx.emit(ops.Neg(rest)), rest))


@converts("aten::hypot", "aten::hypot_")
def hypot(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::hypot(Tensor self, Tensor other) -> Tensor. Floats; no square overflows.

    A NaN beside an infinity gives NaN, where C gives infinity.
    """
    a, b = (ctx.emit(ops.Abs(one)) for one in _floats(ctx, x, other))
    large, small = ctx.emit(ops.Maximum(a, b)), ctx.emit(ops.Minimum(a, b))
    one = ctx.number(1, a.type.dtype)
    # Two zeros and two infinities have no ratio, but 1 for it is right.
    equal = ctx.emit(ops.Equal(large, small))
    ratio = ctx.emit(ops.Where(equal, one, ctx.emit(ops.Div(small, large))))
    root = ctx.emit(ops.Sqrt(ctx.emit(ops.Add(ctx.emit(ops.Mul(ratio, ratio)), one))))
    return ctx.emit(ops.Mul(large, root))


@converts("aten::atan2", "aten::atan2_", "aten::arctan2", "aten::arctan2_")
def atan2(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::atan2(Tensor self, Tensor other) -> Tensor: the angle of (other, self), -pi to pi.

    Integers and bool give float. The signs of zeros count, as in C.
    """
    y, x = _as_float(ctx, x, other)
    dtype = y.type.dtype
    high, wide = ctx.emit(ops.Abs(y)), ctx.emit(ops.Abs(x))
    large, small = ctx.emit(ops.Maximum(high, wide)), ctx.emit(ops.Minimum(high, wide))
    zero = ctx.number(0, dtype)
    # Two zeros have the angle 0 and two infinities 45 degrees, but no ratio.
    same = ctx.emit(ops.Where(ctx.emit(ops.Equal(large, zero)), zero, ctx.number(1, dtype)))
    ratio = ctx.emit(ops.Div(small, large))
    ratio = ctx.emit(ops.Where(ctx.emit(ops.Equal(small, large)), same, ratio))
    angle = ctx.emit(ops.Atan(ratio))
    beyond = ctx.emit(ops.Sub(ctx.number(math.pi / 2, dtype), angle))
    angle = ctx.emit(ops.Where(ctx.emit(ops.Greater(high, wide)), beyond, angle))
    behind = ctx.emit(ops.Sub(ctx.number(math.pi, dtype), angle))
    angle = ctx.emit(ops.Where(_is_negative(ctx, x), behind, angle))
    return ctx.emit(ops.Where(_is_negative(ctx, y), ctx.emit(ops.Neg(angle)), angle))


@converts("aten::copysign", "aten::copysign_")
def copysign(ctx: ConversionContext, x: Value, other: Operand) -> Value:
    """aten::copysign.Tensor(Tensor self, Tensor other) -> Tensor. Integers and bool give float.

    The sign of -0 counts; that of a NaN does not.
    """
    a, b = _as_float(ctx, x, other)
    size = ctx.emit(ops.Abs(a))
    if isinstance(other, (int, float)):
        return ctx.emit(ops.Neg(size)) if math.copysign(1, other) < 0 else size
    return ctx.emit(ops.Where(_is_negative(ctx, b), ctx.emit(ops.Neg(size)), size))


@converts("aten::xlogy", "aten::xlogy_", "aten::special_xlogy")
def xlogy(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::xlogy.Tensor(Tensor self, Tensor other) -> Tensor: self log other, 0 where self is 0."""
    return _times_log(ctx, x, other, lambda b: ctx.emit(ops.Log(b)))


@converts("aten::special_xlog1py")
def xlog1py(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::special_xlog1py(Tensor self, Tensor other) -> Tensor: self log(1 + other), or 0."""
    return _times_log(ctx, x, other, lambda b: ctx.emit(ops.Log1p(b)))


@converts("aten::logaddexp")
def logaddexp(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::logaddexp(Tensor self, Tensor other) -> Tensor: log(e^self + e^other). Floats."""
    a, b = _floats(ctx, x, other)
    power = ctx.emit(ops.Exp(_minus_distance(ctx, a, b)))
    return ctx.emit(ops.Add(ctx.emit(ops.Maximum(a, b)), ctx.emit(ops.Log1p(power))))


@converts("aten::logaddexp2")
def logaddexp2(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::logaddexp2(Tensor self, Tensor other) -> Tensor: log2(2^self + 2^other). Floats."""
    a, b = _floats(ctx, x, other)
    scale = ctx.number(LN2, a.type.dtype)
    power = ctx.emit(ops.Exp(ctx.emit(ops.Mul(_minus_distance(ctx, a, b), scale))))
    more = ctx.emit(ops.Div(ctx.emit(ops.Log1p(power)), scale))
    return ctx.emit(ops.Add(ctx.emit(ops.Maximum(a, b)), more))


@converts("aten::fmax")
def fmax(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::fmax(Tensor self, Tensor other) -> Tensor. The other one where one is NaN."""
    a, b = ctx.promote(x, other)
    return _unless_nan(ctx, a, b, maximum)


@converts("aten::fmin")
def fmin(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::fmin(Tensor self, Tensor other) -> Tensor. The other one where one is NaN."""
    a, b = ctx.promote(x, other)
    return _unless_nan(ctx, a, b, minimum)


@converts("aten::float_power", "aten::float_power_")
def float_power(ctx: ConversionContext, x: Operand, exponent: Operand) -> Value:
    """aten::float_power.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor.

    Always float64, which backends compute in float32 and say so.
    """
    if ctx.operator.endswith("_") and isinstance(x, Value):
        if x.type.dtype is not DType.FLOAT64:
            raise ConversionError("float_power_: for float64 only", got=x.type)
    return ctx.emit(ops.Pow(*ctx.promote(x, exponent, dtype=DType.FLOAT64)))


@converts("aten::heaviside", "aten::heaviside_")
def heaviside(ctx: ConversionContext, x: Value, values: Value) -> Value:
    """aten::heaviside(Tensor self, Tensor values) -> Tensor. One dtype for both."""
    dtype = x.type.dtype
    if values.type.dtype is not dtype:
        raise ConversionError("heaviside: both need one dtype", expected=dtype, got=values.type)
    if dtype is DType.BOOL:
        return ctx.emit(ops.Or(x, values))
    zero = ctx.number(0, dtype)
    step = ctx.cast(ctx.emit(ops.Greater(x, zero)), dtype)
    return ctx.emit(ops.Where(ctx.emit(ops.Equal(x, zero)), values, step))


@converts("aten::ldexp", "aten::ldexp_")
def ldexp(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::ldexp.Tensor(Tensor self, Tensor other) -> Tensor: self times 2^other, as float.

    A float with integers for other keeps its dtype, as of torch 2.13, and takes no bool.
    """
    kept = x.type.dtype
    if not kept.is_float or other.type.dtype.is_float:
        power = ctx.emit(ops.Pow(*ctx.promote(2.0, other)))
        return ctx.emit(ops.Mul(*ctx.promote(x, power)))
    if other.type.dtype is DType.BOOL:
        raise ConversionError("ldexp: not by bool", hint="cast other to an integer dtype")
    # A half type may lack the power although it has the product.
    wide = kept if kept is DType.FLOAT64 else DType.FLOAT32
    power = ctx.emit(ops.Pow(*ctx.promote(2.0, other, dtype=wide)))
    return ctx.cast(ctx.emit(ops.Mul(ctx.cast(x, wide), power)), kept)


@converts("aten::lerp", "aten::lerp_")
def lerp(ctx: ConversionContext, x: Value, end: Value, weight: Operand) -> Value:
    """aten::lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor. Floats of one dtype.

    From the nearer end, as torch, so that weights 0 and 1 give the ends themselves. A 0-d weight
    promotes as in arithmetic, so that with a float one integers give float.
    """
    others = [end]
    if isinstance(weight, Value) and weight.type.rank:
        others.append(weight)
    for one in others:
        if one.type.dtype is not x.type.dtype:
            raise ConversionError("lerp: one dtype for all", expected=x.type.dtype, got=one.type)
    dtype = result_dtype((x, end, weight)) if isinstance(weight, Value) else x.type.dtype
    if not dtype.is_float:
        raise ConversionError("lerp: not for integers and bool", got=x.type)
    x, end = ctx.cast(x, dtype), ctx.cast(end, dtype)
    way = ctx.emit(ops.Sub(end, x))
    part, one = ctx.tensor(weight, dtype), ctx.number(1, dtype)

    def from_start() -> Value:
        return ctx.emit(ops.Add(x, ctx.emit(ops.Mul(part, way))))

    def from_end() -> Value:
        rest = ctx.emit(ops.Sub(one, part))
        return ctx.emit(ops.Sub(end, ctx.emit(ops.Mul(way, rest))))

    if isinstance(weight, (int, float)):
        return from_start() if abs(weight) < 0.5 else from_end()
    near = ctx.emit(ops.Less(ctx.emit(ops.Abs(part)), ctx.number(0.5, dtype)))
    return ctx.emit(ops.Where(near, from_start(), from_end()))


@converts("aten::addcmul", "aten::addcmul_")
def addcmul(
    ctx: ConversionContext, x: Value, tensor1: Value, tensor2: Value, value: Number = 1
) -> Value:
    """aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor.

    Not bool. Of integers the value is made one too.
    """
    a, b, c = ctx.promote(x, tensor1, tensor2)
    if a.type.dtype is DType.BOOL:
        raise ConversionError("addcmul: not for bool", hint="use logical_and and logical_or")
    return _plus(ctx, a, value, ctx.emit(ops.Mul(b, c)))


@converts("aten::addcdiv", "aten::addcdiv_")
def addcdiv(
    ctx: ConversionContext, x: Value, tensor1: Value, tensor2: Value, value: Number = 1
) -> Value:
    """aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor.

    A float for at least one of tensor1 and tensor2.
    """
    if not (tensor1.type.dtype.is_float or tensor2.type.dtype.is_float):
        raise ConversionError("addcdiv: integers do not divide", hint="cast tensor1 to a float")
    a, b, c = ctx.promote(x, tensor1, tensor2)
    return _plus(ctx, a, value, ctx.emit(ops.Div(b, c)))


@converts("aten::clamp_min", "aten::clamp_min_")
def clamp_min(ctx: ConversionContext, x: Value, min: Operand) -> Value:
    """aten::clamp_min(Tensor self, Scalar min) -> Tensor. Or a tensor bound."""
    return clamp(ctx, x, min=min)


@converts("aten::clamp_max", "aten::clamp_max_")
def clamp_max(ctx: ConversionContext, x: Value, max: Operand) -> Value:
    """aten::clamp_max(Tensor self, Scalar max) -> Tensor. Or a tensor bound."""
    return clamp(ctx, x, max=max)


def _floats(ctx: ConversionContext, x: Operand, other: Operand) -> list[Value]:
    dtype = result_dtype((x, other))
    if not dtype.is_float:
        raise ConversionError(
            f"{ctx.operator}: not for {dtype}", expected="floats", hint="cast to a float dtype"
        )
    return ctx.promote(x, other)


def _is_negative(ctx: ConversionContext, x: Value) -> Value:
    """Whether a float is below zero or is -0."""
    zero = ctx.number(0, x.type.dtype)
    under = ctx.emit(ops.Less(ctx.emit(ops.Reciprocal(x)), zero))  # 1 / -0 is -infinity
    return ctx.emit(ops.Or(ctx.emit(ops.Less(x, zero)), under))


def _as_float(ctx: ConversionContext, x: Operand, other: Operand) -> list[Value]:
    """Promoted operands, integers and bool as float."""
    dtype = result_dtype((x, other))
    return ctx.promote(x, other, dtype=dtype if dtype.is_float else default_float())


def _times_log(
    ctx: ConversionContext, x: Operand, other: Operand, log: Callable[[Value], Value]
) -> Value:
    a, b = _as_float(ctx, x, other)
    zero = ctx.number(0, a.type.dtype)
    number = ctx.emit(ops.Equal(b, b), "not_nan")
    none = ctx.emit(ops.And(ctx.emit(ops.Equal(a, zero)), number))
    return ctx.emit(ops.Where(none, zero, ctx.emit(ops.Mul(a, log(b)))))


def _minus_distance(ctx: ConversionContext, a: Value, b: Value) -> Value:
    """-|a - b|, and 0 between equal infinities."""
    zero = ctx.number(0, a.type.dtype)
    apart = ctx.emit(ops.Where(ctx.emit(ops.Equal(a, b)), zero, ctx.emit(ops.Sub(a, b))))
    return ctx.emit(ops.Neg(ctx.emit(ops.Abs(apart))))


def _unless_nan(
    ctx: ConversionContext,
    a: Value,
    b: Value,
    extreme: Callable[[ConversionContext, Value, Value], Value],
) -> Value:
    result = extreme(ctx, a, b)
    if not a.type.dtype.is_float:
        return result
    for nan, instead in ((b, a), (a, b)):
        result = ctx.emit(ops.Where(ctx.emit(ops.NotEqual(nan, nan)), instead, result))
    return result


def _plus(ctx: ConversionContext, x: Value, factor: Number, term: Value) -> Value:
    if not isinstance(factor, (int, float)) or factor != 1:
        term = ctx.emit(ops.Mul(term, ctx.number(factor, term.type.dtype, "value")))
    return ctx.emit(ops.Add(x, term))
