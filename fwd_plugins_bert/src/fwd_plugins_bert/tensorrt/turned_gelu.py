"""GELU of tokens with the length before the batch, as attention by its plugin leaves them."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import activation as core
from fwd_core.ir import ops
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.tensorrt import turning


@lowering("tensorrt", ops.Gelu, override=True)
def gelu(ctx: TensorRTLowering, op: ops.Gelu) -> ITensor:
    """As the core does, which does not care for the order of tokens."""
    other = turning.known(ctx, op.x)
    if other is None:
        return core.gelu(ctx, op)
    kept = ctx[op.x]
    ctx[op.x] = other
    try:
        result = core.gelu(ctx, op)
    finally:
        ctx[op.x] = kept
    return turning.handed_on(ctx, result)
