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
    """GatherElements of as much of x as the indices cover on the other axes.

    That much is picked by Gather: OpenVINO drops a Slice before GatherElements.
    """
    x, opset = ctx[op.x], ctx.opset
    sizes = zip(op.x.type.shape, op.indices.type.shape, strict=True)
    for axis, (have, want) in enumerate(sizes):
        if axis != op.axis and have != want:
            first = opset.range(ctx.scalar(0), ctx.scalar(want), ctx.scalar(1), "i64")
            x = opset.gather(x, first, ctx.scalar(axis)).output(0)
    return opset.gather_elements(x, ctx[op.indices], op.axis)


@lowering("openvino", ops.GatherND)
def gather_nd(ctx: OpenVINOLowering, op: ops.GatherND) -> Node:
    """GatherND of indices that are put in range, because OpenVINO reads whatever they point at."""
    coordinates = op.indices.type.shape[-1]
    assert isinstance(coordinates, int), "infer() takes no other"
    sizes = op.x.type.shape[op.batch_axes : op.batch_axes + coordinates]
    last = [size - 1 for size in sizes]
    greatest = ctx.opset.convert(ctx.vector(last), "i32")
    indices = ctx.opset.minimum(ctx[op.indices], greatest)
    indices = ctx.opset.maximum(indices, ctx.number(0, op.indices.type.dtype))
    return ctx.opset.gather_nd(ctx[op.x], indices, op.batch_axes)
