"""Activations: OpenVINO's own, which it fuses into the layers before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import activation as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node


@lowering("openvino", ops.Sigmoid)
def sigmoid(ctx: OpenVINOLowering, op: ops.Sigmoid) -> Node:
    """Sigmoid."""
    return ctx.opset.sigmoid(ctx[op.x])


@lowering("openvino", ops.Silu)
def silu(ctx: OpenVINOLowering, op: ops.Silu) -> Node:
    """Swish."""
    return ctx.opset.swish(ctx[op.x])


@lowering("openvino", ops.Relu)
def relu(ctx: OpenVINOLowering, op: ops.Relu) -> Node:
    """Relu of floats; of integers the greater of x and 0."""
    if op.x.type.dtype.is_float:
        return ctx.opset.relu(ctx[op.x])
    return ctx.opset.maximum(ctx[op.x], ctx.number(0, op.x.type.dtype))


@lowering("openvino", ops.Gelu)
def gelu(ctx: OpenVINOLowering, op: ops.Gelu) -> Node:
    """Gelu in the same of two forms."""
    return ctx.opset.gelu(ctx[op.x], "tanh" if op.approximate == "tanh" else "erf")


@lowering("openvino", ops.LeakyRelu)
def leaky_relu(ctx: OpenVINOLowering, op: ops.LeakyRelu) -> Node:
    """PRelu with one slope."""
    return ctx.opset.prelu(ctx[op.x], ctx.number(op.alpha, op.x.type.dtype))


@lowering("openvino", ops.Mish)
def mish(ctx: OpenVINOLowering, op: ops.Mish) -> Node:
    """Mish."""
    return ctx.opset.mish(ctx[op.x])


@lowering("openvino", ops.PRelu)
def prelu(ctx: OpenVINOLowering, op: ops.PRelu) -> Node:
    """PRelu; slopes with one axis are OpenVINO's for channels, so they are given all axes."""
    slope, missing = ctx[op.slope], op.x.type.rank - op.slope.type.rank
    if op.slope.type.rank and missing:
        slope = ctx.opset.unsqueeze(slope, list(range(missing))).output(0)
    return ctx.opset.prelu(ctx[op.x], slope)


@lowering("openvino", ops.Elu)
def elu(ctx: OpenVINOLowering, op: ops.Elu) -> Node:
    """Elu, times the scale: OpenVINO's Selu is ten times as slow."""
    result = ctx.opset.elu(ctx[op.x], op.alpha)
    if op.scale == 1.0:
        return result
    return ctx.opset.multiply(result, ctx.number(op.scale, op.x.type.dtype))
