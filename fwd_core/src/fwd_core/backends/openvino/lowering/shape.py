"""Operators that move elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dims import Dim, maximum
from fwd_core.ir.ops import shape as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output

#: A slice backwards to here ends at the first element, whatever the size.
_BEFORE_FIRST = -(2**31) + 1


@lowering("openvino", ops.Reshape)
def reshape(ctx: OpenVINOLowering, op: ops.Reshape) -> Output:
    """Reshape."""
    return ctx.reshape(ctx[op.x], op.x.type.shape, op.shape)


@lowering("openvino", ops.Unsqueeze)
def unsqueeze(ctx: OpenVINOLowering, op: ops.Unsqueeze) -> Output:
    """Unsqueeze."""
    if not op.axes:
        return ctx[op.x]
    return ctx.opset.unsqueeze(ctx[op.x], ctx.vector(op.axes)).output(0)


@lowering("openvino", ops.Squeeze)
def squeeze(ctx: OpenVINOLowering, op: ops.Squeeze) -> Output:
    """Squeeze."""
    if not op.axes:  # OpenVINO would take all axes of size 1
        return ctx[op.x]
    return ctx.opset.squeeze(ctx[op.x], ctx.vector(op.axes)).output(0)


@lowering("openvino", ops.Transpose)
def transpose(ctx: OpenVINOLowering, op: ops.Transpose) -> Output:
    """Transpose."""
    if not op.order:  # OpenVINO would reverse the axes
        return ctx[op.x]
    return ctx.opset.transpose(ctx[op.x], ctx.vector(op.order)).output(0)


@lowering("openvino", ops.Expand)
def expand(ctx: OpenVINOLowering, op: ops.Expand) -> Output:
    """Broadcast by NumPy's rules; nothing where the shape stays."""
    if op.x.type.shape == op.shape:
        return ctx[op.x]
    return ctx.opset.broadcast(ctx[op.x], ctx.vector(op.shape)).output(0)


@lowering("openvino", ops.Concat)
def concat(ctx: OpenVINOLowering, op: ops.Concat) -> Node:
    """Concat."""
    return ctx.opset.concat([ctx[value] for value in op.values], op.axis)


@lowering("openvino", ops.Slice)
def slice_(ctx: OpenVINOLowering, op: ops.Slice) -> Output:
    """Slice; one that walks backwards is cut forwards, then reversed."""
    stride = abs(op.step)
    start = op.start if op.step > 0 else op.start + (op.length - 1) * op.step
    result = _cut(ctx, ctx[op.x], op.axis, start, start + op.length * stride, stride)
    if op.step > 0:
        return result
    return _cut(ctx, result, op.axis, -1, _BEFORE_FIRST, -1)


@lowering("openvino", ops.Pad)
def pad(ctx: OpenVINOLowering, op: ops.Pad) -> Output:
    """Pad, after a Slice for the axes that negative entries cut."""
    x = ctx[op.x]
    for axis, (dim, before, after) in enumerate(
        zip(op.x.type.shape, op.before, op.after, strict=True)
    ):
        first, cut = maximum(0, -before), maximum(0, -after)
        if first != 0 or cut != 0:
            x = _cut(ctx, x, axis, first, dim - cut, 1)
    befores, afters = ([maximum(0, entry) for entry in side] for side in (op.before, op.after))
    if all(entry == 0 for entry in (*befores, *afters)):
        return x
    around = ctx.vector(befores), ctx.vector(afters)
    if op.mode == "constant" and op.x.type.dtype.is_integer:
        return integers.pad(ctx.opset, x, *around, int(op.value))
    value = ctx.number(op.value, op.x.type.dtype)
    return ctx.opset.pad(x, *around, op.mode, value).output(0)


def _cut(ctx: OpenVINOLowering, x: Output, axis: int, start: Dim, stop: Dim, step: int) -> Output:
    bounds = (ctx.vector([start]), ctx.vector([stop]), ctx.vector([step]))
    return ctx.opset.slice(x, *bounds, ctx.vector([axis])).output(0)
