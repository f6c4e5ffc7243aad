"""Operators that pick elements by index tensors."""

from __future__ import annotations

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.creation import size
from fwd_core.ir import ops
from fwd_core.ir.tensor import Tensor
from fwd_core.plugins.markers import lowering


@lowering("tensorrt", ops.Gather)
def gather(ctx: TensorRTLowering, op: ops.Gather) -> ITensor:
    """Slices by index; negative indices are made positive first."""
    return ctx("gather", ctx[op.x], _from_front(ctx, op), op.axis)


@lowering("tensorrt", ops.GatherElements)
def gather_elements(ctx: TensorRTLowering, op: ops.GatherElements) -> ITensor:
    """One element per index."""
    mode = ctx.trt.GatherMode.ELEMENT
    return ctx("gather_v2", ctx[op.x], ctx[op.indices], mode, axis=op.axis)


@lowering("tensorrt", ops.GatherND)
def gather_nd(ctx: TensorRTLowering, op: ops.GatherND) -> ITensor:
    """Slices by index tuples."""
    mode = ctx.trt.GatherMode.ND
    batch = op.batch_axes
    return ctx("gather_v2", ctx[op.x], ctx[op.indices], mode, num_elementwise_dims=batch)


def _from_front(ctx: TensorRTLowering, op: ops.Gather) -> ITensor:
    # That a gather layer counts negative indices from the end is written nowhere.
    kind, count = op.indices.type, op.x.type.shape[op.axis]
    known = op.indices.constant
    if known is not None and isinstance(count, int):
        numbers = known.data.astype(np.int64)
        positive = np.where(numbers < 0, numbers + count, numbers)
        return ctx.constant(Tensor(positive).astype(kind.dtype))
    indices = ctx[op.indices]
    negative = ctx.elementwise("LESS", indices, ctx.scalar(0, kind.dtype, kind.rank))
    counted = ctx.elementwise("SUM", indices, size(ctx, count, kind.dtype, kind.rank))
    return ctx("select", negative, counted, indices)
