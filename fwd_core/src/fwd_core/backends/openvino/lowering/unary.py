"""Functions of each element of one tensor. Integers go through the exact forms of ``integers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fwd_core.backends.openvino import floats, integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.graph import Value
from fwd_core.ir.ops import unary as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output

_UNARY = {
    ops.Log: "log",
    ops.Sqrt: "sqrt",
    ops.Erf: "erf",
    ops.Sin: "sin",
    ops.Cos: "cos",
    ops.Tan: "tan",
    ops.Asin: "asin",
    ops.Acos: "acos",
    ops.Atan: "atan",
    ops.Sinh: "sinh",
    ops.Cosh: "cosh",
    ops.Tanh: "tanh",
    ops.Asinh: "asinh",
    ops.Acosh: "acosh",
    ops.Atanh: "atanh",
    ops.Floor: "floor",
    ops.Ceil: "ceiling",
}


@lowering("openvino", *_UNARY)
def unary(ctx: OpenVINOLowering, op: ops.FloatUnary) -> Node:
    """OpenVINO's operator of the same meaning."""
    return getattr(ctx.opset, _UNARY[type(op)])(ctx[op.x])


@lowering("openvino", ops.Abs, ops.Neg)
def magnitude(ctx: OpenVINOLowering, op: ops.Abs | ops.Neg) -> Output:
    """Abs and Negative of floats; 0 - x of integers, and the greater of both."""
    opset, x, dtype = ctx.opset, ctx[op.x], op.x.type.dtype
    if dtype.is_float:
        if isinstance(op, ops.Abs):
            return floats.absolute(opset, x)
        return opset.negative(x).output(0)
    negated = opset.subtract(ctx.number(0, dtype), x)
    result = opset.maximum(x, negated) if isinstance(op, ops.Abs) else negated
    return integers.wrapped(opset, result.output(0), dtype)


@lowering("openvino", ops.Sign)
def sign(ctx: OpenVINOLowering, op: ops.Sign) -> Output:
    """Sign, with 0 for a NaN."""
    result = ctx.opset.sign(ctx[op.x]).output(0)
    if not op.x.type.dtype.is_float:
        return result
    return unless_nan(ctx, op.x, ctx.number(0, op.x.type.dtype), result)


@lowering("openvino", ops.Exp)
def exp(ctx: OpenVINOLowering, op: ops.Exp) -> Output:
    """Exp, with a NaN for a NaN (OpenVINO gives infinity)."""
    return unless_nan(ctx, op.x, ctx[op.x], ctx.opset.exp(ctx[op.x]).output(0))


@lowering("openvino", ops.Reciprocal)
def reciprocal(ctx: OpenVINOLowering, op: ops.Reciprocal) -> Node:
    """1 divided by x."""
    return ctx.opset.divide(ctx.number(1, op.x.type.dtype), ctx[op.x])


@lowering("openvino", ops.Round)
def round_(ctx: OpenVINOLowering, op: ops.Round) -> Node:
    """Round, of two halves to the even one."""
    return ctx.opset.round(ctx[op.x], "half_to_even")


def unless_nan(ctx: OpenVINOLowering, value: Value, instead: Output, result: Output) -> Output:
    """``instead`` where the value is a NaN, else ``result``; nothing to do for known numbers."""
    known = value.constant
    if known is not None and not np.isnan(known.numpy()).any():
        return result
    return floats.unless_nan(ctx.opset, ctx[value], instead, result)
