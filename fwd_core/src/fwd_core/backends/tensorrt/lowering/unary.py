"""Functions of each element of one tensor: a unary layer each for floats.

Integers have no such layers, so they are computed with the binary ones.
"""

from __future__ import annotations

import math

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.numbers import (
    activation,
    bound,
    is_number,
    negated,
    number,
    wrapped,
)
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.operator import Operator
from fwd_core.plugins.markers import lowering

_UNARY: dict[type[Operator], str] = {
    ops.Exp: "EXP",
    ops.Log: "LOG",
    ops.Sqrt: "SQRT",
    ops.Reciprocal: "RECIP",
    ops.Erf: "ERF",
    ops.Asin: "ASIN",
    ops.Acos: "ACOS",
    ops.Atan: "ATAN",
    ops.Sinh: "SINH",
    ops.Cosh: "COSH",
    ops.Asinh: "ASINH",
    ops.Acosh: "ACOSH",
    ops.Atanh: "ATANH",
    ops.Floor: "FLOOR",
    ops.Ceil: "CEIL",
    ops.Round: "ROUND",
}
_PERIODIC: dict[type[Operator], str] = {ops.Sin: "SIN", ops.Cos: "COS", ops.Tan: "TAN"}
#: Two pi in parts, two of 8 bits: products with up to 2**16 turns are exact (Cody and Waite, 1980).
_TURN = (201 / 2**5, 253 / 2**17, 2 * math.pi - 201 / 2**5 - 253 / 2**17)
#: The angle up to which the odd series of sine and tangent give all digits of float32, and their
#: coefficients, from the last (DLMF 4.19.1 and 4.19.3).
_SMALL = {
    "SIN": (0.5, (-1 / 5040, 1 / 120, -1 / 6, 1.0)),
    "TAN": (0.125, (17 / 315, 2 / 15, 1 / 3, 1.0)),
}


@lowering("tensorrt", *_UNARY)
def unary(ctx: TensorRTLowering, op: ops.unary.FloatUnary) -> ITensor:
    """Functions of floats that are one unary layer."""
    return ctx.unary(_UNARY[type(op)], ctx[op.x])


@lowering("tensorrt", *_PERIODIC)
def periodic(ctx: TensorRTLowering, op: ops.unary.FloatUnary) -> ITensor:
    """Functions of an angle, brought within half a turn first where layers want that."""
    name, x = _PERIODIC[type(op)], ctx[op.x]
    if ctx.features.wide_angles:
        return ctx.unary(name, x)

    def near(angle: ITensor) -> ITensor:
        angle = _within_half_a_turn(ctx, angle, op.x.type.rank)
        found = ctx.unary(name, angle)
        if name not in _SMALL:
            return found
        small, series = _small(ctx, angle, op.x.type.rank, *_SMALL[name])
        return ctx("select", small, series, found)

    return ctx.in_float32(x, op.x.type.dtype, near)


def _small(
    ctx: TensorRTLowering, angle: ITensor, rank: int, limit: float, terms: tuple[float, ...]
) -> tuple[ITensor, ITensor]:
    """Where an angle is small, and its odd series: the layer's error there is not relative."""

    def constant(value: float) -> ITensor:
        return ctx.scalar(value, DType.FLOAT32, rank)

    square = ctx.elementwise("PROD", angle, angle)
    series = constant(terms[0])
    for term in terms[1:]:
        series = ctx.elementwise("SUM", ctx.elementwise("PROD", series, square), constant(term))
    small = ctx.elementwise("LESS", square, constant(limit**2))
    return small, ctx.elementwise("PROD", series, angle)


def _within_half_a_turn(ctx: TensorRTLowering, angle: ITensor, rank: int) -> ITensor:
    def times(x: ITensor, factor: float) -> ITensor:
        return ctx.elementwise("PROD", x, ctx.scalar(factor, DType.FLOAT32, rank))

    turns = ctx.unary("ROUND", times(angle, 0.5 / math.pi))
    for part in _TURN:
        angle = ctx.elementwise("SUB", angle, times(turns, part))
    return angle


@lowering("tensorrt", ops.Tanh)
def tanh(ctx: TensorRTLowering, op: ops.Tanh) -> ITensor:
    """Hyperbolic tangent."""
    return activation(ctx, "TANH", ctx[op.x])


@lowering("tensorrt", ops.Neg)
def neg(ctx: TensorRTLowering, op: ops.Neg) -> ITensor:
    """``-x``; integers wrap."""
    if op.x.type.dtype.is_float:
        return ctx.unary("NEG", ctx[op.x])
    return wrapped(ctx, negated(ctx, ctx[op.x], op.x.type), op.x.type)


@lowering("tensorrt", ops.Abs)
def magnitude(ctx: TensorRTLowering, op: ops.Abs) -> ITensor:
    """``|x|``."""
    x = ctx[op.x]
    if op.x.type.dtype.is_float:
        return ctx.unary("ABS", x)
    return wrapped(ctx, ctx.elementwise("MAX", x, negated(ctx, x, op.x.type)), op.x.type)


@lowering("tensorrt", ops.Sign)
def sign(ctx: TensorRTLowering, op: ops.Sign) -> ITensor:
    """-1, 0 or 1; 0 of NaN, which a layer would keep."""
    x = ctx[op.x]
    if op.x.type.dtype.is_float:
        signs = ctx.unary("SIGN", x)
        return ctx("select", is_number(ctx, x), signs, number(ctx, 0, op.x.type))
    at_least = ctx.elementwise("MAX", x, bound(ctx, -1, op.x.type, math.ceil))
    return ctx.elementwise("MIN", at_least, number(ctx, 1, op.x.type))
