"""Operators that move, repeat, cut or pad elements."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering

_OUT_OF_RANGE = {"constant": "FILL", "edge": "CLAMP", "reflect": "REFLECT"}


@lowering("tensorrt", ops.Reshape, ops.Squeeze)
def reshape(ctx: TensorRTLowering, op: ops.Reshape | ops.Squeeze) -> ITensor:
    """The same elements under another shape."""
    return ctx.reshape(ctx[op.x], op.x.type.shape, op.infer().shape)


@lowering("tensorrt", ops.Unsqueeze)
def unsqueeze(ctx: TensorRTLowering, op: ops.Unsqueeze) -> ITensor:
    """Axes of size 1 inserted."""
    return ctx.unsqueeze(ctx[op.x], op.x.type.shape, op.axes)


@lowering("tensorrt", ops.Transpose)
def transpose(ctx: TensorRTLowering, op: ops.Transpose) -> ITensor:
    """The axes in another order."""
    return ctx.transpose(ctx[op.x], op.order)


@lowering("tensorrt", ops.Expand)
def expand(ctx: TensorRTLowering, op: ops.Expand) -> ITensor:
    """Axes of size 1 repeated."""
    rank = len(op.shape)
    lead = (1,) * (rank - op.x.type.rank)
    return expanded(ctx, ctx.ranked(op.x, rank), (*lead, *op.x.type.shape), op.shape)


@lowering("tensorrt", ops.Concat)
def concat(ctx: TensorRTLowering, op: ops.Concat) -> ITensor:
    """Tensors joined along an axis."""
    return ctx("concatenation", [ctx[value] for value in op.values], axis=op.axis)


@lowering("tensorrt", ops.Slice)
def cut(ctx: TensorRTLowering, op: ops.Slice) -> ITensor:
    """Part of one axis, in steps."""
    return ctx.slice(ctx[op.x], op.x.type.shape, {op.axis: (op.start, op.length, op.step)})


@lowering("tensorrt", ops.Pad)
def pad(ctx: TensorRTLowering, op: ops.Pad) -> ITensor:
    """A slice that starts before the first element and ends after the last."""
    cuts = {
        axis: (-before, dim, 1)
        for axis, (before, after, dim) in enumerate(
            zip(op.before, op.after, op.infer().shape, strict=True)
        )
        if before != 0 or after != 0
    }
    if not cuts:
        return ctx[op.x]
    x, dtype = ctx[op.x], op.x.type.dtype
    as_integers = dtype is DType.BOOL and not ctx.features.bool_padding
    if as_integers:
        x, dtype = ctx.cast(x, "INT32"), DType.INT32
    # A slice fills with zeros unless it is told otherwise.
    filled = op.mode == "constant" and op.value != 0
    fill = ctx.fill(op.value, dtype) if filled else None
    padded = ctx.slice(x, op.x.type.shape, cuts, mode=_OUT_OF_RANGE[op.mode], fill=fill)
    return ctx.cast(padded, "BOOL") if as_integers else padded


def expanded(ctx: TensorRTLowering, x: ITensor, shape: Shape, new: Shape) -> ITensor:
    """Axes of size 1 repeated up to a shape of the same rank: read with a step of 0."""
    cuts = {
        axis: (0, dim, 0)
        for axis, (have, dim) in enumerate(zip(shape, new, strict=True))
        if have == 1 and dim != 1
    }
    return ctx.slice(x, shape, cuts) if cuts else x
