"""Elementwise operators. Integers go through the exact forms of ``integers``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fwd_core.backends.openvino import floats, integers, residual
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.backends.openvino.lowering.unary import unless_nan
from fwd_core.backends.openvino.types import computed, element_type
from fwd_core.ir.dtypes import DType
from fwd_core.ir.ops import elementwise as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output

_LOGICAL = {ops.And: "logical_and", ops.Or: "logical_or", ops.Xor: "logical_xor"}
_ARITHMETIC = {ops.Add: "add", ops.Sub: "subtract", ops.Mul: "multiply"}


@lowering("openvino", ops.Not)
def logical_not(ctx: OpenVINOLowering, op: ops.Not) -> Node:
    """LogicalNot."""
    return ctx.opset.logical_not(ctx[op.x])


@lowering("openvino", *_LOGICAL)
def logical(ctx: OpenVINOLowering, op: ops.LogicalBinary) -> Node:
    """OpenVINO's operator of the same meaning."""
    return getattr(ctx.opset, _LOGICAL[type(op)])(ctx[op.a], ctx[op.b])


@lowering("openvino", ops.Cast)
def cast(ctx: OpenVINOLowering, op: ops.Cast) -> Output:
    """To bool by comparing with zero (a NaN is true); to small integers by way of int32.

    From one float type to another nothing is done: all are computed in the engine's one, and
    rounded to their own where they leave it.
    """
    x, source, target = ctx[op.x], op.x.type.dtype, op.dtype
    if target is DType.BOOL and source is not DType.BOOL:
        return ctx.opset.not_equal(x, ctx.number(0, source)).output(0)
    if computed(source) is not computed(target):
        x = ctx.opset.convert(x, element_type(computed(target))).output(0)
    fits = source is DType.BOOL or (
        source.is_integer
        and target.limits[0] <= source.limits[0]
        and source.limits[1] <= target.limits[1]
    )
    return x if fits else integers.wrapped(ctx.opset, x, target)


@lowering("openvino", ops.Clamp)
def clamp(ctx: OpenVINOLowering, op: ops.Clamp) -> Output:
    """Clamp of floats with two bounds; else extrema with them, the upper one last, as torch.

    The first, which OpenVINO makes a part of the layer before it, loses a NaN; others keep it.
    """
    given, dtype = ctx[op.x], op.x.type.dtype
    x = given
    low, high = op.minimum, op.maximum
    if low is not None and high is not None and dtype.is_float and low <= high:
        return ctx.opset.clamp(x, float(low), float(high)).output(0)
    if low is not None:
        x = ctx.opset.maximum(x, _bound(ctx, low, dtype, math.ceil)).output(0)
    if high is not None:
        x = ctx.opset.minimum(x, _bound(ctx, high, dtype, math.floor)).output(0)
    return unless_nan(ctx, op.x, given, x) if dtype.is_float else x


@lowering("openvino", *_ARITHMETIC)
def arithmetic(ctx: OpenVINOLowering, op: ops.NumberBinary) -> Output:
    """OpenVINO's operator of the same meaning; small integers wrap."""
    a, b = residual.addends(ctx, op) if isinstance(op, ops.Add) else (ctx[op.a], ctx[op.b])
    result = getattr(ctx.opset, _ARITHMETIC[type(op)])(a, b)
    return integers.wrapped(ctx.opset, result.output(0), op.a.type.dtype)


@lowering("openvino", ops.Maximum, ops.Minimum)
def extremum(ctx: OpenVINOLowering, op: ops.Maximum | ops.Minimum) -> Output:
    """Maximum or Minimum; of floats with a NaN where either is one."""
    function = ctx.opset.maximum if isinstance(op, ops.Maximum) else ctx.opset.minimum
    result = function(ctx[op.a], ctx[op.b]).output(0)
    if op.a.type.dtype.is_float:
        for operand in (op.a, op.b):
            result = unless_nan(ctx, operand, ctx[operand], result)
    return result


@lowering("openvino", ops.Div)
def div(ctx: OpenVINOLowering, op: ops.Div) -> Node:
    """Divide."""
    return ctx.opset.divide(ctx[op.a], ctx[op.b])


@lowering("openvino", ops.FloorDiv, ops.TruncDiv, ops.Mod)
def whole_division(ctx: OpenVINOLowering, op: ops.FloorDiv | ops.TruncDiv | ops.Mod) -> Output:
    """Divisions with whole quotients, and the remainder of the one that rounds down."""
    opset, a, b, dtype = ctx.opset, ctx[op.a], ctx[op.b], op.a.type.dtype
    if not dtype.is_float:
        if isinstance(op, ops.TruncDiv):
            result = integers.truncated_quotient(opset, a, b)
        else:
            quotient, rest = integers.divide(opset, a, b)
            result = quotient if isinstance(op, ops.FloorDiv) else rest
        return integers.wrapped(opset, result, dtype)
    if isinstance(op, ops.TruncDiv):
        return floats.truncated_quotient(opset, a, b)
    return floats.divide(opset, a, b)[0 if isinstance(op, ops.FloorDiv) else 1]


@lowering("openvino", ops.Pow)
def power(ctx: OpenVINOLowering, op: ops.Pow) -> Output:
    """Power of floats; of integers products."""
    opset, base, dtype = ctx.opset, ctx[op.a], op.a.type.dtype
    if dtype.is_float:
        return opset.power(base, ctx[op.b]).output(0)
    known = op.b.constant
    if known is not None and not known.shape and known.item() >= 0:
        result = integers.constant_power(opset, base, int(known.item()))
    else:
        result = integers.power(opset, base, ctx[op.b])
    return integers.wrapped(opset, result, dtype)


@lowering("openvino", ops.Equal, ops.NotEqual)
def equality(ctx: OpenVINOLowering, op: ops.Equal | ops.NotEqual) -> Output:
    """Equal or NotEqual; of integers beyond 2^24 by their difference."""
    a, b = ctx[op.a], ctx[op.b]
    if _compares_exactly(op):
        function = ctx.opset.equal if isinstance(op, ops.Equal) else ctx.opset.not_equal
        return function(a, b).output(0)
    same = integers.equal(ctx.opset, a, b)
    return same if isinstance(op, ops.Equal) else ctx.opset.logical_not(same).output(0)


@lowering("openvino", ops.Less, ops.Greater)
def strict_order(ctx: OpenVINOLowering, op: ops.Less | ops.Greater) -> Output:
    """Less, also for greater, because OpenVINO's Greater holds for a NaN."""
    a, b = (op.a, op.b) if isinstance(op, ops.Less) else (op.b, op.a)
    if _compares_exactly(op):
        return ctx.opset.less(ctx[a], ctx[b]).output(0)
    return integers.less(ctx.opset, ctx[a], ctx[b])


@lowering("openvino", ops.LessEqual, ops.GreaterEqual)
def order(ctx: OpenVINOLowering, op: ops.LessEqual | ops.GreaterEqual) -> Output:
    """LessEqual, also for greater or equal."""
    a, b = (op.a, op.b) if isinstance(op, ops.LessEqual) else (op.b, op.a)
    if _compares_exactly(op):
        return ctx.opset.less_equal(ctx[a], ctx[b]).output(0)
    return integers.less_equal(ctx.opset, ctx[a], ctx[b])


@lowering("openvino", ops.Where)
def where(ctx: OpenVINOLowering, op: ops.Where) -> Output:
    """Select; of integers by arithmetic."""
    condition, a, b = ctx[op.condition], ctx[op.a], ctx[op.b]
    if op.a.type.dtype.is_integer:
        return integers.select(ctx.opset, condition, a, b)
    return ctx.opset.select(condition, a, b).output(0)


def _compares_exactly(op: ops.Comparison) -> bool:
    """Whether float32, in which OpenVINO compares, holds every value that is compared."""
    if op.a.type.dtype not in (DType.INT32, DType.INT64):
        return True
    known = [operand.constant for operand in (op.a, op.b)]
    return any(one is not None and integers.is_small(one.data) for one in known)


def _bound(
    ctx: OpenVINOLowering, bound: float, dtype: DType, rounding: Callable[[float], int]
) -> Output:
    """A bound as a number of the type; of integers the last whole number within it."""
    if not dtype.is_integer:
        return ctx.number(bound, dtype)
    low, high = DType.INT32.limits
    return ctx.number(rounding(min(max(bound, low), high)), dtype)
