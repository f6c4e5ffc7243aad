"""Operators that act on each element alone.

Integers have fewer layers than floats, and which ones differs by flavour, so they are computed
with the binary layers that every flavour has for them. 8- and 16-bit integers are computed as
int32 and wrapped where a result can leave their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.types import NARROW
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.operator import Operator
from fwd_core.ir.types import TensorType
from fwd_core.plugins.markers import lowering

_UNARY: dict[type[Operator], str] = {
    ops.Exp: "EXP",
    ops.Log: "LOG",
    ops.Sqrt: "SQRT",
    ops.Reciprocal: "RECIP",
    ops.Erf: "ERF",
    ops.Sin: "SIN",
    ops.Cos: "COS",
    ops.Floor: "FLOOR",
    ops.Ceil: "CEIL",
}
_BINARY: dict[type[Operator], str] = {
    ops.Add: "SUM",
    ops.Sub: "SUB",
    ops.Mul: "PROD",
    ops.Div: "DIV",
    ops.Maximum: "MAX",
    ops.Minimum: "MIN",
    ops.FloorDiv: "FLOOR_DIV",
    ops.And: "AND",
    ops.Or: "OR",
    ops.Xor: "XOR",
}


@lowering("tensorrt", ops.Cast)
def cast(ctx: TensorRTLowering, op: ops.Cast) -> ITensor:
    """Convert; what does not fit a narrow integer wraps, as torch does for integers."""
    x, source = ctx[op.x], op.x.type.dtype
    if ctx.computed(source) != ctx.computed(op.dtype):
        x = ctx.cast(x, ctx.computed(op.dtype))
    if op.dtype not in NARROW or source is DType.BOOL:
        return x
    fits = source.is_integer and _holds(op.dtype, source)
    return x if fits else wrapped(ctx, x, TensorType(op.dtype, op.x.type.shape))


@lowering("tensorrt", *_UNARY)
def unary(ctx: TensorRTLowering, op: ops.elementwise.FloatUnary) -> ITensor:
    """Functions of floats that are one unary layer."""
    return ctx.unary(_UNARY[type(op)], ctx[op.x])


@lowering("tensorrt", ops.Tanh)
def tanh(ctx: TensorRTLowering, op: ops.Tanh) -> ITensor:
    """Hyperbolic tangent."""
    return _activation(ctx, "TANH", ctx[op.x])


@lowering("tensorrt", ops.Sigmoid)
def sigmoid(ctx: TensorRTLowering, op: ops.Sigmoid) -> ITensor:
    """Logistic function."""
    return _activation(ctx, "SIGMOID", ctx[op.x])


@lowering("tensorrt", ops.Silu)
def silu(ctx: TensorRTLowering, op: ops.Silu) -> ITensor:
    """``x * sigmoid(x)``: compilers fuse the two."""
    return ctx.elementwise("PROD", ctx[op.x], _activation(ctx, "SIGMOID", ctx[op.x]))


@lowering("tensorrt", ops.LeakyRelu)
def leaky_relu(ctx: TensorRTLowering, op: ops.LeakyRelu) -> ITensor:
    """Relu with a slope below zero."""
    return _activation(ctx, "LEAKY_RELU", ctx[op.x], alpha=op.alpha)


@lowering("tensorrt", ops.Gelu)
def gelu(ctx: TensorRTLowering, op: ops.Gelu) -> ITensor:
    """An activation where there is one, else the formula."""
    x, dtype, rank = ctx[op.x], op.x.type.dtype, op.x.type.rank
    tanh_form = op.approximate == "tanh"
    if ctx.features.gelu:
        return _activation(ctx, "GELU_TANH" if tanh_form else "GELU_ERF", x)

    def times(tensor: ITensor, factor: float) -> ITensor:
        return ctx.elementwise("PROD", tensor, ctx.scalar(factor, dtype, rank))

    def plus(tensor: ITensor, summand: float) -> ITensor:
        return ctx.elementwise("SUM", tensor, ctx.scalar(summand, dtype, rank))

    if tanh_form:
        squared = ctx.elementwise("PROD", x, x)
        slope = times(plus(times(squared, 0.044715), 1.0), math.sqrt(2.0 / math.pi))
        inner = _activation(ctx, "TANH", ctx.elementwise("PROD", x, slope))
    else:
        inner = ctx.unary("ERF", times(x, math.sqrt(0.5)))
    return ctx.elementwise("PROD", times(x, 0.5), plus(inner, 1.0))


@lowering("tensorrt", ops.Relu)
def relu(ctx: TensorRTLowering, op: ops.Relu) -> ITensor:
    """``max(x, 0)``."""
    if op.x.type.dtype.is_float:
        return _activation(ctx, "RELU", ctx[op.x])
    return ctx.elementwise("MAX", ctx[op.x], _number(ctx, 0, op.x.type))


@lowering("tensorrt", ops.Neg)
def neg(ctx: TensorRTLowering, op: ops.Neg) -> ITensor:
    """``-x``; integers wrap."""
    if op.x.type.dtype.is_float:
        return ctx.unary("NEG", ctx[op.x])
    return wrapped(ctx, _negated(ctx, ctx[op.x], op.x.type), op.x.type)


@lowering("tensorrt", ops.Abs)
def magnitude(ctx: TensorRTLowering, op: ops.Abs) -> ITensor:
    """``|x|``."""
    x = ctx[op.x]
    if op.x.type.dtype.is_float:
        return ctx.unary("ABS", x)
    return wrapped(ctx, ctx.elementwise("MAX", x, _negated(ctx, x, op.x.type)), op.x.type)


@lowering("tensorrt", ops.Sign)
def sign(ctx: TensorRTLowering, op: ops.Sign) -> ITensor:
    """-1, 0 or 1."""
    x = ctx[op.x]
    if op.x.type.dtype.is_float:
        return ctx.unary("SIGN", x)
    at_least = ctx.elementwise("MAX", x, _bound(ctx, -1, op.x.type, math.ceil))
    return ctx.elementwise("MIN", at_least, _number(ctx, 1, op.x.type))


@lowering("tensorrt", ops.Clamp)
def clamp(ctx: TensorRTLowering, op: ops.Clamp) -> ITensor:
    """One activation where both bounds are in order, which convolutions take in; else min, max."""
    x, kind = ctx[op.x], op.x.type
    low, high = op.minimum, op.maximum
    if low is not None and high is not None and low <= high and kind.dtype.is_float:
        return _activation(ctx, "CLIP", x, alpha=low, beta=high)
    if low is not None:
        x = ctx.elementwise("MAX", x, _bound(ctx, low, kind, math.ceil))
    if high is not None:
        x = ctx.elementwise("MIN", x, _bound(ctx, high, kind, math.floor))
    return x


@lowering("tensorrt", *_BINARY)
def binary(ctx: TensorRTLowering, op: ops.elementwise.NumberBinary) -> ITensor:
    """Functions of two tensors that are one binary layer."""
    a, b = ctx.aligned(op.a, op.b)
    return wrapped(ctx, ctx.elementwise(_BINARY[type(op)], a, b), _result(op))


@lowering("tensorrt", ops.TruncDiv)
def trunc_div(ctx: TensorRTLowering, op: ops.TruncDiv) -> ITensor:
    """Division rounded toward zero: integers' own, floats' magnitude rounded down."""
    a, b = ctx.aligned(op.a, op.b)
    quotient = ctx.elementwise("DIV", a, b)
    if not op.a.type.dtype.is_float:
        return wrapped(ctx, quotient, _result(op))
    whole = ctx.unary("FLOOR", ctx.unary("ABS", quotient))
    return ctx.elementwise("PROD", ctx.unary("SIGN", quotient), whole)


@lowering("tensorrt", ops.Mod)
def mod(ctx: TensorRTLowering, op: ops.Mod) -> ITensor:
    """``a - floor(a / b) * b``: TensorRT has no remainder."""
    a, b = ctx.aligned(op.a, op.b)
    quotient = ctx.elementwise("FLOOR_DIV", a, b)
    return ctx.elementwise("SUB", a, ctx.elementwise("PROD", quotient, b))


def _no_integer_power(ctx: TensorRTLowering, op: ops.Pow) -> str | None:
    if op.a.type.dtype.is_float or ctx.features.integer_power:
        return None
    return f"{ctx.features.flavour} here raises floats to a power, not integers"


@lowering("tensorrt", ops.Pow, unless=_no_integer_power)
def power(ctx: TensorRTLowering, op: ops.Pow) -> ITensor:
    """``a ** b``."""
    a, b = ctx.aligned(op.a, op.b)
    return wrapped(ctx, ctx.elementwise("POW", a, b), _result(op))


@lowering("tensorrt", ops.Equal)
def equal(ctx: TensorRTLowering, op: ops.Equal) -> ITensor:
    """``a == b``."""
    return _equal(ctx, op)


@lowering("tensorrt", ops.NotEqual)
def not_equal(ctx: TensorRTLowering, op: ops.NotEqual) -> ITensor:
    """``not a == b``, which is true of NaN."""
    if op.a.type.dtype is DType.BOOL:
        a, b = ctx.aligned(op.a, op.b)
        return ctx.elementwise("XOR", a, b)
    return ctx.unary("NOT", _equal(ctx, op))


@lowering("tensorrt", ops.Less)
def less(ctx: TensorRTLowering, op: ops.Less) -> ITensor:
    """``a < b``."""
    return ctx.elementwise("LESS", *_ordered(ctx, op))


@lowering("tensorrt", ops.Greater)
def greater(ctx: TensorRTLowering, op: ops.Greater) -> ITensor:
    """``a > b``."""
    return ctx.elementwise("GREATER", *_ordered(ctx, op))


@lowering("tensorrt", ops.LessEqual)
def less_equal(ctx: TensorRTLowering, op: ops.LessEqual) -> ITensor:
    """``a < b or a == b``: the negation of ``a > b`` would be true of NaN."""
    a, b = _ordered(ctx, op)
    return ctx.elementwise("OR", ctx.elementwise("LESS", a, b), ctx.elementwise("EQUAL", a, b))


@lowering("tensorrt", ops.GreaterEqual)
def greater_equal(ctx: TensorRTLowering, op: ops.GreaterEqual) -> ITensor:
    """``a > b or a == b``."""
    a, b = _ordered(ctx, op)
    return ctx.elementwise("OR", ctx.elementwise("GREATER", a, b), ctx.elementwise("EQUAL", a, b))


@lowering("tensorrt", ops.Not)
def logical_not(ctx: TensorRTLowering, op: ops.Not) -> ITensor:
    """The other truth value."""
    return ctx.unary("NOT", ctx[op.x])


@lowering("tensorrt", ops.Where)
def where(ctx: TensorRTLowering, op: ops.Where) -> ITensor:
    """Elements of ``a`` or ``b`` by a condition."""
    return ctx("select", *ctx.aligned(op.condition, op.a, op.b))


def wrapped(ctx: TensorRTLowering, x: ITensor, kind: TensorType) -> ITensor:
    """An int32 result brought back into the range of an 8- or 16-bit integer type, as it wraps."""
    if kind.dtype not in NARROW:
        return x
    count = 1 << (8 * kind.dtype.itemsize)
    low = int(kind.dtype.limits[0])
    shifted = ctx.elementwise("SUB", x, _number(ctx, low, kind, wide=True))
    size = _number(ctx, count, kind, wide=True)
    laps = ctx.elementwise("PROD", ctx.elementwise("FLOOR_DIV", shifted, size), size)
    return ctx.elementwise("SUB", x, laps)


def _activation(ctx: TensorRTLowering, kind: str, x: ITensor, **settings: float) -> ITensor:
    return ctx("activation", x, getattr(ctx.trt.ActivationType, kind), **settings)


def _number(ctx: TensorRTLowering, value: float, kind: TensorType, wide: bool = False) -> ITensor:
    return ctx.scalar(value, DType.INT32 if wide else kind.dtype, kind.rank)


def _bound(
    ctx: TensorRTLowering, bound: float, kind: TensorType, whole: Callable[[float], int]
) -> ITensor:
    if kind.dtype.is_float:
        return _number(ctx, bound, kind)
    least, greatest = ctx.limits(kind.dtype)
    return _number(ctx, whole(min(max(bound, least), greatest)), kind)


def _negated(ctx: TensorRTLowering, x: ITensor, kind: TensorType) -> ITensor:
    return ctx.elementwise("SUB", _number(ctx, 0, kind), x)


def _equal(ctx: TensorRTLowering, op: ops.elementwise.Comparison) -> ITensor:
    a, b = ctx.aligned(op.a, op.b)
    if op.a.type.dtype is DType.BOOL:
        return ctx.unary("NOT", ctx.elementwise("XOR", a, b))
    return ctx.elementwise("EQUAL", a, b)


def _ordered(ctx: TensorRTLowering, op: ops.elementwise.Comparison) -> tuple[ITensor, ITensor]:
    a, b = ctx.aligned(op.a, op.b)
    if op.a.type.dtype is DType.BOOL:  # has no order in TensorRT
        return ctx.cast(a, "INT32"), ctx.cast(b, "INT32")
    return a, b


def _result(op: Operator) -> TensorType:
    types = op.infer()
    assert isinstance(types, TensorType)
    return types


def _holds(wide: DType, narrow: DType) -> bool:
    low, high = narrow.limits
    return wide.limits[0] <= low and high <= wide.limits[1]
