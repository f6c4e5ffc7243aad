"""Operators that act on each element alone.

Integers have fewer layers than floats, and which ones differs by flavour, so they are computed
with the binary layers that every flavour has for them. 8- and 16-bit integers are computed as
int32 and wrapped where a result can leave their range.
"""

from __future__ import annotations

import math

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.byte_sums import apart
from fwd_core.backends.tensorrt.numbers import activation, bound, keeping_nan, wrapped
from fwd_core.backends.tensorrt.types import NARROW
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator
from fwd_core.ir.types import TensorType
from fwd_core.plugins.markers import lowering

_BINARY: dict[type[Operator], str] = {
    ops.Add: "SUM",
    ops.Sub: "SUB",
    ops.Mul: "PROD",
    ops.Div: "DIV",
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


@lowering("tensorrt", ops.Clamp)
def clamp(ctx: TensorRTLowering, op: ops.Clamp) -> ITensor:
    """One activation where both bounds are in order, which convolutions take in; else min, max."""
    x, kind = ctx[op.x], op.x.type
    low, high = op.minimum, op.maximum
    if low is not None and high is not None and low <= high and kind.dtype.is_float:
        return activation(ctx, "CLIP", x, alpha=low, beta=high)
    limited = x
    if low is not None:
        limited = ctx.elementwise("MAX", limited, bound(ctx, low, kind, math.ceil))
    if high is not None:
        limited = ctx.elementwise("MIN", limited, bound(ctx, high, kind, math.floor))
    return keeping_nan(ctx, limited, x) if kind.dtype.is_float else limited


@lowering("tensorrt", *_BINARY)
def binary(ctx: TensorRTLowering, op: ops.elementwise.NumberBinary) -> ITensor:
    """Functions of two tensors that are one binary layer."""
    a, b = ctx.aligned(op.a, op.b)
    if isinstance(op, ops.Add) and not ctx.features.float_sums:
        a, b = (apart(ctx, op, value, x) for value, x in ((op.a, a), (op.b, b)))
    return wrapped(ctx, ctx.elementwise(_BINARY[type(op)], a, b), _result(op))


@lowering("tensorrt", ops.Maximum, ops.Minimum)
def extremum(ctx: TensorRTLowering, op: ops.Maximum | ops.Minimum) -> ITensor:
    """The greater or the smaller of two; a NaN stays one."""
    a, b = ctx.aligned(op.a, op.b)
    result = ctx.elementwise("MAX" if isinstance(op, ops.Maximum) else "MIN", a, b)
    if not op.a.type.dtype.is_float:
        return result
    mixed = [x for x, value in ((a, op.a), (b, op.b)) if _may_be_nan(value)]
    return keeping_nan(ctx, result, *mixed)


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
    """TensorRT 8 raises floats to a power, not integers."""
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
    """``not a == b``, which is true of NaN; ``x != x`` asks for that."""
    if op.a is op.b and op.a.type.dtype.is_float and ctx.features.isnan:
        return ctx.unary("ISNAN", ctx[op.a])
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


def _may_be_nan(value: Value) -> bool:
    known = value.constant
    return known is None or bool(np.isnan(known.numpy()).any())


def _result(op: Operator) -> TensorType:
    types = op.infer()
    assert isinstance(types, TensorType)
    return types


def _holds(wide: DType, narrow: DType) -> bool:
    low, high = narrow.limits
    return wide.limits[0] <= low and high <= wide.limits[1]
