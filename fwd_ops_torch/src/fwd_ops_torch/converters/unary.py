"""Converters of functions of each element of one tensor."""

from __future__ import annotations

import math

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._factories import (
    both,
    float_unary,
    in_single,
    require_float,
    rounding,
    same_unary,
)
from fwd_ops_torch.converters._numerics import polynomial
from fwd_ops_torch.converters.elementwise import pow_
from fwd_ops_torch.converting import ConversionContext, converts

#: Giles, "Approximating the erfinv function" (2012), in single precision: by w = -log(1 - x^2) the
#: terms in w - 2.5 where w < 5, and in sqrt(w) - 3 beyond.
ERFINV_NEAR = (1.50140941, 0.246640727, -4.17768164e-03, -1.25372503e-03, 2.1858087e-04,
               -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08)  # fmt: skip
ERFINV_FAR = (2.83297682, 1.00167406, 9.43887047e-03, -7.6224613e-03, 5.73950773e-03,
              -3.67342844e-03, 1.34934322e-03, 1.00950558e-04, -2.00214257e-04)  # fmt: skip

exp = float_unary(__name__, "exp", ops.Exp)
expm1 = float_unary(__name__, "expm1", ops.Expm1, "special_expm1")
log = float_unary(__name__, "log", ops.Log)
log1p = float_unary(__name__, "log1p", ops.Log1p, "special_log1p")
sqrt = float_unary(__name__, "sqrt", ops.Sqrt)
reciprocal = float_unary(__name__, "reciprocal", ops.Reciprocal)
erf = float_unary(__name__, "erf", ops.Erf, "special_erf")
sin = float_unary(__name__, "sin", ops.Sin)
cos = float_unary(__name__, "cos", ops.Cos)
tan = float_unary(__name__, "tan", ops.Tan)
asin = float_unary(__name__, "asin", ops.Asin, "arcsin")
acos = float_unary(__name__, "acos", ops.Acos, "arccos")
atan = float_unary(__name__, "atan", ops.Atan, "arctan")
sinh = float_unary(__name__, "sinh", ops.Sinh)
cosh = float_unary(__name__, "cosh", ops.Cosh)
tanh = float_unary(__name__, "tanh", ops.Tanh)
asinh = float_unary(__name__, "asinh", ops.Asinh, "arcsinh")
acosh = float_unary(__name__, "acosh", ops.Acosh, "arccosh")
atanh = float_unary(__name__, "atanh", ops.Atanh, "arctanh")
abs_ = same_unary(__name__, "abs", ops.Abs, "Any dtype but bool", "absolute")
neg = same_unary(__name__, "neg", ops.Neg, "Any dtype but bool", "negative")
floor = rounding(__name__, "floor", ops.Floor)
ceil = rounding(__name__, "ceil", ops.Ceil)


@converts("aten::rsqrt", "aten::rsqrt_")
def rsqrt(ctx: ConversionContext, x: Value) -> Value:
    """aten::rsqrt(Tensor self) -> Tensor. Integers and bool give float."""
    return ctx.emit(ops.Reciprocal(ctx.emit(ops.Sqrt(ctx.to_float(x)))))


@converts("aten::square", "aten::square_")
def square(ctx: ConversionContext, x: Value) -> Value:
    """aten::square(Tensor self) -> Tensor. Integers stay, bool gives int64."""
    return pow_(ctx, x, 2)


@converts(*both("exp2"), "aten::special_exp2")
def exp2(ctx: ConversionContext, x: Value) -> Value:
    """aten::exp2(Tensor self) -> Tensor. Integers and bool give float."""
    value = ctx.to_float(x)
    return ctx.emit(ops.Pow(ctx.number(2, value.type.dtype, "base"), value))


@converts(*both("log2"))
def log2(ctx: ConversionContext, x: Value) -> Value:
    """aten::log2(Tensor self) -> Tensor. Integers and bool give float."""
    return _scaled(ctx, ctx.emit(ops.Log(ctx.to_float(x))), 1 / math.log(2))


@converts(*both("log10"))
def log10(ctx: ConversionContext, x: Value) -> Value:
    """aten::log10(Tensor self) -> Tensor. Integers and bool give float."""
    return _scaled(ctx, ctx.emit(ops.Log(ctx.to_float(x))), 1 / math.log(10))


@converts(*both("deg2rad"))
def deg2rad(ctx: ConversionContext, x: Value) -> Value:
    """aten::deg2rad(Tensor self) -> Tensor. Integers and bool give float."""
    return _scaled(ctx, ctx.to_float(x), math.pi / 180)


@converts(*both("rad2deg"))
def rad2deg(ctx: ConversionContext, x: Value) -> Value:
    """aten::rad2deg(Tensor self) -> Tensor. Integers and bool give float."""
    return _scaled(ctx, ctx.to_float(x), 180 / math.pi)


@converts(*both("erfc"), "aten::special_erfc")
def erfc(ctx: ConversionContext, x: Value) -> Value:
    """aten::erfc(Tensor self) -> Tensor. As 1 - erf(x): right to 1e-6, so 0 for a large x."""
    value = ctx.to_float(x)
    one = ctx.number(1, value.type.dtype, "one")
    return ctx.emit(ops.Sub(one, ctx.emit(ops.Erf(value))))


@converts("aten::special_ndtr")
def special_ndtr(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_ndtr(Tensor self) -> Tensor: (1 + erf(x / sqrt(2))) / 2, right to 1e-6."""
    value = ctx.to_float(x)
    one = ctx.number(1, value.type.dtype, "one")
    inner = ctx.emit(ops.Erf(_scaled(ctx, value, math.sqrt(0.5))))
    return _scaled(ctx, ctx.emit(ops.Add(one, inner)), 0.5)


@converts(*both("erfinv"), "aten::special_erfinv")
def erfinv(ctx: ConversionContext, x: Value) -> Value:
    """aten::erfinv(Tensor self) -> Tensor. Integers and bool give float. Right to 3e-7 of itself."""

    def compute(value: Value) -> Value:
        def number(constant: float) -> Value:
            return ctx.number(constant, DType.FLOAT32, "number")

        one = number(1)
        below, above = ctx.emit(ops.Sub(one, value)), ctx.emit(ops.Add(one, value))
        w = ctx.emit(ops.Neg(ctx.emit(ops.Log(ctx.emit(ops.Mul(below, above))))), "w")
        near = polynomial(ctx, ctx.emit(ops.Sub(w, number(2.5))), ERFINV_NEAR)
        far = polynomial(ctx, ctx.emit(ops.Sub(ctx.emit(ops.Sqrt(w)), number(3))), ERFINV_FAR)
        ratio = ctx.emit(ops.Where(ctx.emit(ops.Less(w, number(5))), near, far), "ratio")
        is_end = ctx.emit(ops.Equal(ctx.emit(ops.Abs(value)), one), "is_end")
        factor = ctx.emit(ops.Where(is_end, number(math.inf), ratio), "factor")
        return ctx.emit(ops.Mul(value, factor))

    value = ctx.to_float(x)
    return ctx.cast(compute(ctx.cast(value, DType.FLOAT32)), value.type.dtype)


@converts(*both("sinc"), "aten::special_sinc")
def sinc(ctx: ConversionContext, x: Value) -> Value:
    """aten::sinc(Tensor self) -> Tensor: sin(pi x) / (pi x), 1 at 0. Integers give float."""
    value = ctx.to_float(x)
    angle = _scaled(ctx, value, math.pi)
    ratio = ctx.emit(ops.Div(ctx.emit(ops.Sin(angle)), angle), "ratio")
    zero, one = (ctx.number(number, value.type.dtype) for number in (0, 1))
    return ctx.emit(ops.Where(ctx.emit(ops.Equal(value, zero)), one, ratio))


@converts("aten::special_entr")
def special_entr(ctx: ConversionContext, x: Value) -> Value:
    """aten::special_entr(Tensor self) -> Tensor: -x log(x), 0 at 0, -inf below. Integers give float."""
    value = ctx.to_float(x)
    zero, least = (ctx.number(number, value.type.dtype) for number in (0, -math.inf))
    terms = ctx.emit(ops.Neg(ctx.emit(ops.Mul(value, ctx.emit(ops.Log(value), "log")))), "terms")
    kept = ctx.emit(ops.Where(ctx.emit(ops.Less(value, zero), "below"), least, terms), "kept")
    return ctx.emit(ops.Where(ctx.emit(ops.Equal(value, zero), "at_zero"), zero, kept))


@converts(*both("logit"), "aten::special_logit")
def logit(ctx: ConversionContext, x: Value, eps: float | None = None) -> Value:
    """aten::logit(Tensor self, float? eps=None) -> Tensor. Integers and bool give float."""

    def compute(value: Value) -> Value:
        one = ctx.number(1, value.type.dtype, "one")
        if eps is not None:
            low, high = (ctx.number(limit, value.type.dtype) for limit in (eps, 1 - eps))
            over = ctx.emit(ops.Greater(value, high), "over")
            under = ctx.emit(ops.Less(value, low), "under")
            value = ctx.emit(ops.Where(under, low, ctx.emit(ops.Where(over, high, value))))
        odds = ctx.emit(ops.Div(value, ctx.emit(ops.Sub(one, value))), "odds")
        return ctx.emit(ops.Log(odds))

    return in_single(ctx, ctx.to_float(x), compute)


@converts(*both("round"))
def round_(ctx: ConversionContext, x: Value, decimals: int | None = None) -> Value:
    """aten::round.decimals(Tensor self, *, int decimals) -> Tensor. Halves to the even one.

    Integers are returned as they are, but not with decimals. Not bool. With decimals torch rounds
    the scaled number to the dtype first, which OpenVINO leaves out for float16 and bfloat16.
    """
    dtype = x.type.dtype
    if dtype is DType.BOOL or (decimals is not None and not dtype.is_float):
        raise ConversionError(f"{ctx.operator}: not for {dtype}", got=x.type)
    if not decimals:
        return ctx.emit(ops.Round(x)) if dtype.is_float else x
    scale = ctx.number(10.0 ** abs(decimals), dtype, "scale")
    if decimals < 0:
        return ctx.emit(ops.Mul(ctx.emit(ops.Round(ctx.emit(ops.Div(x, scale)))), scale))
    return ctx.emit(ops.Div(ctx.emit(ops.Round(ctx.emit(ops.Mul(x, scale)))), scale))


@converts("aten::special_round")
def special_round(ctx: ConversionContext, x: Value, decimals: int = 0) -> Value:
    """aten::special_round(Tensor self, *, int decimals=0) -> Tensor. Floats."""
    return round_(ctx, x, decimals)


@converts(*both("trunc", "fix"))
def trunc(ctx: ConversionContext, x: Value) -> Value:
    """aten::trunc(Tensor self) -> Tensor. Integers are returned as they are. Not bool."""
    if x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    return _truncated(ctx, x) if x.type.dtype.is_float else x


@converts(*both("frac"))
def frac(ctx: ConversionContext, x: Value) -> Value:
    """aten::frac(Tensor self) -> Tensor: x - trunc(x). Floats."""
    require_float(ctx, x)
    return ctx.emit(ops.Sub(x, _truncated(ctx, x)))


@converts(*both("sign", "sgn"))
def sign(ctx: ConversionContext, x: Value) -> Value:
    """aten::sign(Tensor self) -> Tensor. Any dtype; bool stays as it is."""
    return x if x.type.dtype is DType.BOOL else ctx.emit(ops.Sign(x))


@converts("aten::signbit")
def signbit(ctx: ConversionContext, x: Value) -> Value:
    """aten::signbit(Tensor self) -> Tensor. Any dtype; true of -0.0, never of a NaN."""
    dtype = x.type.dtype
    if dtype is DType.BOOL:
        return _all(ctx, x, False)
    zero = ctx.number(0, dtype, "zero")
    below = ctx.emit(ops.Less(x, zero), "below")
    if not dtype.is_float:
        return below
    # 1 / -0.0 is minus infinity.
    inverse = ctx.emit(ops.Less(ctx.emit(ops.Reciprocal(x)), zero), "inverse_below")
    return ctx.emit(ops.Or(below, inverse))


@converts("aten::isnan")
def isnan(ctx: ConversionContext, x: Value) -> Value:
    """aten::isnan(Tensor self) -> Tensor. Any dtype; integers and bool are never NaN."""
    if not x.type.dtype.is_float:
        return _all(ctx, x, False)
    return ctx.emit(ops.NotEqual(x, x))


@converts("aten::isinf")
def isinf(ctx: ConversionContext, x: Value) -> Value:
    """aten::isinf(Tensor self) -> Tensor. Any dtype; integers and bool are never infinite."""
    if not x.type.dtype.is_float:
        return _all(ctx, x, False)
    return ctx.emit(ops.Equal(ctx.emit(ops.Abs(x)), ctx.number(math.inf, x.type.dtype)))


@converts("aten::isfinite")
def isfinite(ctx: ConversionContext, x: Value) -> Value:
    """aten::isfinite(Tensor self) -> Tensor. Any dtype; integers and bool are always finite."""
    if not x.type.dtype.is_float:
        return _all(ctx, x, True)
    return ctx.emit(ops.Less(ctx.emit(ops.Abs(x)), ctx.number(math.inf, x.type.dtype)))


@converts("aten::isposinf")
def isposinf(ctx: ConversionContext, x: Value) -> Value:
    """aten::isposinf(Tensor self) -> Tensor. Any dtype; integers and bool are never infinite."""
    return _equals_infinity(ctx, x, math.inf)


@converts("aten::isneginf")
def isneginf(ctx: ConversionContext, x: Value) -> Value:
    """aten::isneginf(Tensor self) -> Tensor. Any dtype; integers and bool are never infinite."""
    return _equals_infinity(ctx, x, -math.inf)


@converts("aten::isreal")
def isreal(ctx: ConversionContext, x: Value) -> Value:
    """aten::isreal(Tensor self) -> Tensor. True: there are no complex tensors."""
    return _all(ctx, x, True)


@converts(*both("nan_to_num"))
def nan_to_num(
    ctx: ConversionContext,
    x: Value,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """aten::nan_to_num(Tensor self, float? nan, float? posinf, float? neginf) -> Tensor.

    Integers and bool are returned as they are. Infinities become the dtype's limits.
    """
    dtype = x.type.dtype
    if not dtype.is_float:
        return x
    low, high = dtype.limits
    value = x
    for infinity, given, limit in ((math.inf, posinf, high), (-math.inf, neginf, low)):
        filler = ctx.number(limit if given is None else given, dtype)
        where = ctx.emit(ops.Equal(x, ctx.number(infinity, dtype)), "infinite")
        value = ctx.emit(ops.Where(where, filler, value))
    filler = ctx.number(0 if nan is None else nan, dtype)
    return ctx.emit(ops.Where(ctx.emit(ops.NotEqual(x, x), "nan"), filler, value))


@converts("aten::positive")
def positive(ctx: ConversionContext, x: Value) -> Value:
    """aten::positive(Tensor(a) self) -> Tensor(a). As it is. Not bool."""
    if x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    return x


@converts(
    "aten::real",
    "aten::conj",
    *both("conj_physical"),
    "aten::resolve_conj",
    "aten::resolve_neg",
)
def real(ctx: ConversionContext, x: Value) -> Value:
    """aten::real(Tensor(a) self) -> Tensor(a). As it is: there are no complex tensors."""
    del ctx
    return x


@converts("aten::angle")
def angle(ctx: ConversionContext, x: Value) -> Value:
    """aten::angle(Tensor self) -> Tensor: pi below 0, else 0; of a NaN NaN. Integers give float."""
    value = ctx.to_float(x)
    dtype = value.type.dtype
    zero, pi = (ctx.number(each, dtype) for each in (0.0, math.pi))
    found = ctx.emit(ops.Where(ctx.emit(ops.Less(value, zero)), pi, zero), "angle")
    if x is not value:
        return found
    return ctx.emit(ops.Where(ctx.emit(ops.NotEqual(value, value), "nan"), value, found))


def _scaled(ctx: ConversionContext, x: Value, factor: float) -> Value:
    return ctx.emit(ops.Mul(x, ctx.number(factor, x.type.dtype, "factor")), "scaled")


def _truncated(ctx: ConversionContext, x: Value) -> Value:
    below = ctx.emit(ops.Less(x, ctx.number(0, x.type.dtype, "zero")), "below")
    return ctx.emit(ops.Where(below, ctx.emit(ops.Ceil(x)), ctx.emit(ops.Floor(x))))


def _equals_infinity(ctx: ConversionContext, x: Value, infinity: float) -> Value:
    if not x.type.dtype.is_float:
        return _all(ctx, x, False)
    return ctx.emit(ops.Equal(x, ctx.number(infinity, x.type.dtype, "infinity")))


def _all(ctx: ConversionContext, x: Value, truth: bool) -> Value:
    return ctx.emit(ops.Full(x.type.shape, truth, DType.BOOL))
