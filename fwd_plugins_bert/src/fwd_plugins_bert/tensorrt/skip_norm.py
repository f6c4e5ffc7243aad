"""Normalization of residual sums, by NVIDIA's plugin."""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import SkipNorm
from fwd_plugins_bert.tensorrt import common


def _refuses(ctx: Any, op: SkipNorm) -> str | None:
    reason = common.refusal(ctx, op.x, op.bias, op.scale, op.shift)
    return reason or common.epsilon_refusal(op.epsilon, op.x.type.dtype)


@lowering("tensorrt", SkipNorm, unless=_refuses)
def skip_norm(ctx: TensorRTLowering, op: SkipNorm) -> ITensor:
    """``CustomSkipLayerNormPluginDynamic`` version 1, whose kernel goes row by row."""
    shape = op.x.type.shape
    size = shape[-1]
    assert isinstance(size, int)
    fields = {
        "ld": common.integer(size),
        "type_id": common.type_id(op.x.type.dtype),
        "beta": common.vector(op.shift, size, 0.0),
        "gamma": common.vector(op.scale, size, 1.0),
    }
    if op.bias is not None:
        fields["bias"] = common.floats(op.bias)
    x, wide = common.spread(ctx, ctx[op.x], shape)
    skip, _ = common.spread(ctx, ctx[op.skip], shape)
    layer = ctx.plugin("CustomSkipLayerNormPluginDynamic", "1", fields, [x, skip])
    return ctx.reshape(ctx.output(layer), wide, shape)
