"""Functions of each element of one tensor: a unary layer each for floats.

Integers have no such layers, so they are computed with the binary ones.
"""

from __future__ import annotations

import math

from fwd_core.backends.tensorrt import endless
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
from fwd_core.ir.operator import Operator
from fwd_core.plugins.markers import lowering

_UNARY: dict[type[Operator], str] = {
    ops.Exp: "EXP",
    ops.Log: "LOG",
    ops.Sqrt: "SQRT",
    ops.Reciprocal: "RECIP",
    ops.Erf: "ERF",
    ops.Sin: "SIN",
    ops.Cos: "COS",
    ops.Tan: "TAN",
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


@lowering("tensorrt", *_UNARY)
def unary(ctx: TensorRTLowering, op: ops.unary.FloatUnary) -> ITensor:
    """Functions of floats that are one unary layer."""
    number = op.x.constant
    if number is None or ctx.features.endless_constants or number.data.size != 1:
        return ctx.unary(_UNARY[type(op)], ctx[op.x])
    # The compiler would compute it, and not keep an infinite result.
    return ctx.unary(_UNARY[type(op)], endless.gathered(ctx, number))


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
