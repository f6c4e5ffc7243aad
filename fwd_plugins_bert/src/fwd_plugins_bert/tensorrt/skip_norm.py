"""Normalization of residual sums, by NVIDIA's plugin."""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import SkipNorm
from fwd_plugins_bert.tensorrt import common, turning


def refusal(ctx: Any, op: SkipNorm) -> str | None:
    """Why the plugin does not take it."""
    reason = common.refusal(ctx, op.x, op.bias, op.scale, op.shift)
    return reason or common.epsilon_refusal(op.epsilon, op.x.type.dtype)


@lowering("tensorrt", SkipNorm, unless=refusal)
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
    other = any(turning.known(ctx, value) is not None for value in (op.x, op.skip))
    rows = turning.shape(op.x) if other else shape
    pair = [
        common.spread(ctx, turning.turned(ctx, value) if other else ctx[value], rows)
        for value in (op.x, op.skip)
    ]
    inputs = [tensor for tensor, _ in pair]
    layer = ctx.plugin("CustomSkipLayerNormPluginDynamic", "1", fields, inputs)
    result = ctx.reshape(ctx.output(layer), pair[0][1], rows)
    return turning.handed_on(ctx, result) if other else result
