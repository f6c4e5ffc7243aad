"""Converters of the logarithm of the gamma function and of its derivatives.

Neither backend has them. They are compositions in single precision, right to 1e-6 where the result
is not near 0, by formulas of the NIST Digital Library of Mathematical Functions (DLMF).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._factories import both, in_single
from fwd_ops_torch.converters._numerics import polynomial
from fwd_ops_torch.converting import ConversionContext, converts

#: DLMF 5.7.3: lgamma(2 + d) / d for |d| up to a half, by the powers of d. The first term is
#: 1 less Euler's constant, the others are (-1)^k (zeta(k) - 1) / k.
_NEAR_TWO = (0.422784335, 0.322467033, -0.0673523011, 0.0205808084, -0.00738555103,
             0.00289051033, -0.00119275391, 0.000509669525, -0.000223154758, 9.94575128e-05,
             -4.49262367e-05, 2.05072128e-05)  # fmt: skip
#: DLMF 5.11.1: of Stirling's series, by the powers of 1 / x^2; from 3.5 on these are enough.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)
#: The even Bernoulli numbers but the first, as many as derivatives at 8 and beyond need.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66)
#: The functions are computed at x plus this, and recurrences lead back.
_STEPS = 8
#: The greatest factorial of float32 is 34!.
_MOST = 34


@converts(*both("lgamma"), "aten::special_gammaln")
def lgamma(ctx: ConversionContext, x: Value) -> Value:
    """aten::lgamma(Tensor self) -> Tensor. Integers and bool give float. Right to 2e-6.

    Of itself for x above 0; below 0, where it has zeros between the poles, of its greatest term.
    """
    return in_single(ctx, ctx.to_float(x), lambda value: _lgamma(ctx, value))


@converts(*both("mvlgamma"), "aten::special_multigammaln")
def mvlgamma(ctx: ConversionContext, x: Value, p: int) -> Value:
    """aten::mvlgamma(Tensor self, int p) -> Tensor: the sum of p of lgamma(x - k / 2), and more.

    Not bool.
    """
    if x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    if p < 1:
        raise ConversionError(f"{ctx.operator}: p is too small", expected="1 or more", got=p)

    def compute(value: Value) -> Value:
        dtype = value.type.dtype
        total = ctx.number(p * (p - 1) / 4 * math.log(math.pi), dtype, "constant")
        for k in range(p):
            shifted = ctx.emit(ops.Sub(value, ctx.number(k / 2, dtype)), "shifted") if k else value
            total = ctx.emit(ops.Add(total, _lgamma(ctx, shifted)), "total")
        return total

    return in_single(ctx, ctx.to_float(x), compute)


@converts(*both("digamma"), "aten::special_digamma", "aten::special_psi")
def digamma(ctx: ConversionContext, x: Value) -> Value:
    """aten::digamma(Tensor self) -> Tensor. Integers and bool give float.

    NaN at negative integers, and infinity with the sign of -x at 0.
    """

    def compute(value: Value) -> Value:
        result, whole = _reflected(ctx, value, 0)
        nan = ctx.number(math.nan, value.type.dtype, "nan")
        return ctx.emit(ops.Where(whole, nan, result), "digamma")

    return in_single(ctx, ctx.to_float(x), compute)


@converts("aten::polygamma", "aten::special_polygamma")
def polygamma(ctx: ConversionContext, n: int, self: Value) -> Value:
    """aten::polygamma(int n, Tensor self) -> Tensor: the nth derivative of digamma.

    Integers and bool give float. At negative integers infinity, where torch's trigamma has a large
    number, and 0 at infinity, where torch has NaN from the second on.
    """
    if n < 0:
        raise ConversionError(f"{ctx.operator}: n is negative", expected="0 or more", got=n)
    if n > _MOST:
        raise ctx.unsupported("n", f"{n}! is no float32", f"at most {_MOST}")
    if n == 0:
        return digamma(ctx, self)

    def compute(value: Value) -> Value:
        result, whole = _reflected(ctx, value, n)
        infinity = ctx.number(math.inf if n % 2 else -math.inf, value.type.dtype, "infinity")
        return ctx.emit(ops.Where(whole, infinity, result), "polygamma")

    return in_single(ctx, ctx.to_float(self), compute)


@converts("aten::polygamma_")
def polygamma_(ctx: ConversionContext, x: Value, n: int) -> Value:
    """aten::polygamma_(Tensor(a!) self, int n) -> Tensor(a!)."""
    return polygamma(ctx, n, x)


def _lgamma(ctx: ConversionContext, x: Value) -> Value:
    dtype = x.type.dtype
    zero, one = (ctx.number(each, dtype) for each in (0.0, 1.0))
    infinity = ctx.number(math.inf, dtype, "infinity")
    below = ctx.emit(ops.Less(x, zero), "below")
    # DLMF 5.5.3: log(pi / |sin(pi x)|) - lgamma(1 - x) for x below 0.
    positive = ctx.emit(ops.Where(below, ctx.emit(ops.Sub(one, x)), x), "positive")
    large = ctx.emit(ops.GreaterEqual(positive, ctx.number(3.5, dtype)), "large")
    near = ctx.emit(ops.Where(large, one, positive), "near")
    far = ctx.emit(ops.Where(large, positive, ctx.number(4.0, dtype)), "far")
    found = ctx.emit(ops.Where(large, _stirling(ctx, far), _near_two(ctx, near)), "lgamma")

    rest = ctx.emit(ops.Sub(x, ctx.emit(ops.Round(x))), "rest")
    sine = ctx.emit(ops.Sin(ctx.emit(ops.Mul(rest, ctx.number(math.pi, dtype)))), "sine")
    log = ctx.emit(ops.Log(ctx.emit(ops.Abs(sine))), "log")
    pi = ctx.number(math.log(math.pi), dtype, "log_pi")
    mirrored = ctx.emit(ops.Sub(ctx.emit(ops.Sub(pi, log)), found), "mirrored")
    result = ctx.emit(ops.Where(below, mirrored, found), "result")
    whole = ctx.emit(ops.And(ctx.emit(ops.Equal(rest, zero)), below), "whole")
    endless = ctx.emit(ops.Equal(ctx.emit(ops.Abs(x)), infinity), "endless")
    return ctx.emit(ops.Where(ctx.emit(ops.Or(whole, endless)), infinity, result))


def _near_two(ctx: ConversionContext, x: Value) -> Value:
    """For x from 0 to 3.5: the recurrence leads to 2 + d, with d in half a unit around 0."""
    dtype = x.type.dtype
    one = ctx.number(1.0, dtype)
    after = ctx.emit(ops.Add(x, one), "after")
    before = ctx.emit(ops.Sub(x, one), "before")
    d, factor, sign = before, before, one
    # From [2.5, 3.5) down: what is taken from x, the argument of the logarithm, and its sign.
    steps = (
        (3.5, ctx.number(3.0, dtype), before, 1.0),
        (2.5, ctx.number(2.0, dtype), one, 1.0),
        (1.5, one, x, -1.0),
        (0.5, ctx.number(0.0, dtype), ctx.emit(ops.Mul(x, after), "both"), -1.0),
    )
    for limit, taken, argument, direction in steps:
        inside = ctx.emit(ops.Less(x, ctx.number(limit, dtype, "limit")), "inside")
        d = ctx.emit(ops.Where(inside, ctx.emit(ops.Sub(x, taken)), d), "d")
        factor = ctx.emit(ops.Where(inside, argument, factor), "factor")
        sign = ctx.emit(ops.Where(inside, ctx.number(direction, dtype), sign), "sign")
    log = ctx.emit(ops.Mul(sign, ctx.emit(ops.Log(factor))), "log")
    return ctx.emit(ops.Add(log, ctx.emit(ops.Mul(d, polynomial(ctx, d, _NEAR_TWO)))), "near_two")


def _stirling(ctx: ConversionContext, x: Value) -> Value:
    """(x - 1/2) (log x - 1) + (log(2 pi) - 1) / 2 + …, which overflows no earlier than lgamma."""
    dtype = x.type.dtype
    half = ctx.number(0.5, dtype)
    log = ctx.emit(ops.Sub(ctx.emit(ops.Log(x)), ctx.number(1.0, dtype)), "log")
    main = ctx.emit(ops.Mul(ctx.emit(ops.Sub(x, half)), log), "main")
    inverse = ctx.emit(ops.Reciprocal(x), "inverse")
    series = polynomial(ctx, ctx.emit(ops.Mul(inverse, inverse)), _STIRLING)
    constant = ctx.number((math.log(2 * math.pi) - 1) / 2, dtype, "constant")
    rest = ctx.emit(ops.Add(constant, ctx.emit(ops.Mul(inverse, series))), "rest")
    return ctx.emit(ops.Add(main, rest), "stirling")


def _reflected(ctx: ConversionContext, x: Value, n: int) -> tuple[Value, Value]:
    """The nth derivative of digamma, and where x is a negative integer, or 0 if n is not.

    DLMF 5.15.6 for x below 0: (-1)^n times it at 1 - x, less the nth derivative of pi cot(pi x).
    """
    dtype = x.type.dtype
    zero, one = (ctx.number(each, dtype) for each in (0.0, 1.0))
    below = ctx.emit(ops.Less(x, zero), "below")
    positive = ctx.emit(ops.Where(below, ctx.emit(ops.Sub(one, x)), x), "positive")
    found = _derivative(ctx, positive, n)
    rest = ctx.emit(ops.Sub(x, ctx.emit(ops.Round(x))), "rest")
    tangent = ctx.emit(ops.Tan(ctx.emit(ops.Mul(rest, ctx.number(math.pi, dtype)))), "tangent")
    turned = polynomial(ctx, ctx.emit(ops.Reciprocal(tangent), "cotangent"), _cotangent(n))
    same = ctx.emit(ops.Neg(found)) if n % 2 else found
    mirrored = ctx.emit(ops.Sub(same, turned), "mirrored")
    possible = ctx.emit(ops.LessEqual(x, zero), "possible") if n else below
    whole = ctx.emit(ops.And(possible, ctx.emit(ops.Equal(rest, zero))), "whole")
    return ctx.emit(ops.Where(below, mirrored, found), "reflected"), whole


def _cotangent(n: int) -> Sequence[float]:
    """The nth derivative of pi cot(pi x), as a polynomial in cot(pi x)."""
    terms = [0.0, math.pi]
    for _ in range(n):
        slopes = [k * term for k, term in enumerate(terms)][1:]
        # The cotangent's own derivative is -pi (1 + its square).
        terms = [0.0] * (len(slopes) + 2)
        for k, slope in enumerate(slopes):
            terms[k] -= math.pi * slope
            terms[k + 2] -= math.pi * slope
    return terms


def _derivative(ctx: ConversionContext, x: Value, n: int) -> Value:
    """For x of 0 or more, by DLMF 5.5.2 and 5.11.2, and their nth derivatives 5.15.5 and 5.15.8."""
    dtype = x.type.dtype
    if n:  # infinite with one sign at both zeros
        x = ctx.emit(ops.Abs(x))
    inverses = [
        ctx.emit(ops.Reciprocal(ctx.emit(ops.Add(x, ctx.number(k, dtype)), "next") if k else x))
        for k in range(_STEPS)
    ]
    power = ctx.number(n + 1, dtype, "power")
    raised = [ctx.emit(ops.Pow(each, power), "raised") if n else each for each in inverses]
    total = raised[-1]
    for each in reversed(raised[:-1]):  # the least ones first
        total = ctx.emit(ops.Add(total, each), "total")
    beyond = ctx.emit(ops.Add(x, ctx.number(_STEPS, dtype)), "beyond")
    inverse = ctx.emit(ops.Reciprocal(beyond), "inverse")
    square = ctx.emit(ops.Mul(inverse, inverse), "square")
    # (2k + n - 1)! / (2k)! / n! times the Bernoulli number; the front holds n!.
    terms = [
        number * math.factorial(2 * k + n - 1) / math.factorial(2 * k) / math.factorial(n)
        for k, number in enumerate(_BERNOULLI, 1)
    ]
    series = ctx.emit(ops.Mul(square, polynomial(ctx, square, terms)), "series")
    half = ctx.emit(ops.Mul(inverse, ctx.number(0.5, dtype)), "half")
    tail = ctx.emit(ops.Add(half, series), "tail")
    if n == 0:
        smooth = ctx.emit(ops.Sub(ctx.emit(ops.Log(beyond)), tail), "smooth")
        return ctx.emit(ops.Sub(smooth, total), "derivative")
    tail = ctx.emit(ops.Add(ctx.number(1 / n, dtype), tail), "tail")
    fall = ctx.emit(ops.Pow(inverse, ctx.number(n, dtype)), "fall")
    sum_ = ctx.emit(ops.Add(total, ctx.emit(ops.Mul(fall, tail))), "sum")
    return ctx.emit(ops.Mul(sum_, ctx.number((-1) ** (n + 1) * math.factorial(n), dtype)))
