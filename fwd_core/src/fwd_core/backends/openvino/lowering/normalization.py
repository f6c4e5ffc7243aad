"""Normalizations and softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.graph import Value
from fwd_core.ir.ops import normalization as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output


@lowering("openvino", ops.BatchNorm)
def batch_norm(ctx: OpenVINOLowering, op: ops.BatchNorm) -> Node:
    """BatchNormInference, which OpenVINO folds into a convolution before it."""

    def parameter(value: Value | None, instead: float) -> Output:
        if value is not None:
            return ctx[value]
        number = ctx.number(instead, op.mean.type.dtype)
        return ctx.opset.broadcast(number, ctx.vector(op.mean.type.shape)).output(0)

    return ctx.opset.batch_norm_inference(
        ctx[op.x],
        parameter(op.scale, 1.0),
        parameter(op.shift, 0.0),
        ctx[op.mean],
        ctx[op.variance],
        op.epsilon,
    )


@lowering("openvino", ops.LayerNorm)
def layer_norm(ctx: OpenVINOLowering, op: ops.LayerNorm) -> Output:
    """MVN over the last axes, then Multiply and Add, which OpenVINO fuses."""
    rank = op.x.type.rank
    axes = ctx.constant(np.arange(rank - op.axes, rank, dtype=np.int64))
    result = ctx.opset.mvn(ctx[op.x], axes, True, op.epsilon, "inside_sqrt")
    if op.scale is not None:
        result = ctx.opset.multiply(result, ctx[op.scale])
    if op.shift is not None:
        result = ctx.opset.add(result, ctx[op.shift])
    return result.output(0)


@lowering("openvino", ops.Softmax)
def softmax(ctx: OpenVINOLowering, op: ops.Softmax) -> Node:
    """Softmax."""
    return ctx.opset.softmax(ctx[op.x], op.axis)
