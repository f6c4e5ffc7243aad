"""Operators that put elements at places that index tensors say."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import is_less, ops
from fwd_core.plugins.markers import lowering


def _combines(_ctx: TensorRTLowering, op: ops.ScatterElements | ops.ScatterND) -> str | None:
    """Scatter layers only replace."""
    if op.combination == "none":
        return None
    return f"no layer scatters with combination {op.combination!r}"


def _crowds(ctx: TensorRTLowering, op: ops.ScatterElements) -> str | None:
    """The compiler wants no more indices than there are places."""
    size, count = op.x.type.shape[op.axis], op.indices.type.shape[op.axis]
    if is_less(size, count) is not False:
        return f"more indices ({count}) than places ({size}), or maybe"
    return _combines(ctx, op)


@lowering("tensorrt", ops.ScatterElements, unless=_crowds)
def scatter_elements(ctx: TensorRTLowering, op: ops.ScatterElements) -> ITensor:
    """One element per index."""
    operands = (ctx[op.x], ctx[op.indices], ctx[op.updates])
    return ctx("scatter", *operands, ctx.trt.ScatterMode.ELEMENT, axis=op.axis)


@lowering("tensorrt", ops.ScatterND, unless=_combines)
def scatter_nd(ctx: TensorRTLowering, op: ops.ScatterND) -> ITensor:
    """Slices by index tuples."""
    operands = (ctx[op.x], ctx[op.indices], ctx[op.updates])
    return ctx("scatter", *operands, ctx.trt.ScatterMode.ND)
