"""Operators that pick elements by index tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import indexing as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node


@lowering("openvino", ops.Gather)
def gather(ctx: OpenVINOLowering, op: ops.Gather) -> Node:
    """Gather, which counts negative indices from the end."""
    return ctx.opset.gather(ctx[op.x], ctx[op.indices], ctx.scalar(op.axis))


@lowering("openvino", ops.GatherElements)
def gather_elements(ctx: OpenVINOLowering, op: ops.GatherElements) -> Node:
    """GatherElements of as much of x as the indices cover on the other axes."""
    x, sizes = ctx[op.x], op.indices.type.shape
    axes = [
        axis
        for axis, (have, want) in enumerate(zip(op.x.type.shape, sizes, strict=True))
        if axis != op.axis and have != want
    ]
    if axes:
        start, step = ctx.vector([0] * len(axes)), ctx.vector([1] * len(axes))
        stop = ctx.vector([sizes[axis] for axis in axes])
        x = ctx.opset.slice(x, start, stop, step, ctx.vector(axes)).output(0)
    return ctx.opset.gather_elements(x, ctx[op.indices], op.axis)


@lowering("openvino", ops.GatherND)
def gather_nd(ctx: OpenVINOLowering, op: ops.GatherND) -> Node:
    """GatherND."""
    return ctx.opset.gather_nd(ctx[op.x], ctx[op.indices], op.batch_axes)
