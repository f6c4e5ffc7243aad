"""Norms between attentions without padding, by NVIDIA's plugin, on TensorRT 8.

The plugin for attention parts a network, and TensorRT 8 compiles what is left otherwise than a
padded batch: docs/benchmarks/gpu-bert.md has the times.
"""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import DType, ops
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import PackedLinear, PackedSelfAttention, PackedSkipNorm
from fwd_plugins_bert.tensorrt import packed_attention, skip_norm


def refusal(ctx: Any, op: PackedLinear | PackedSkipNorm) -> str | None:
    """Why what surrounds attention is compiled as in a padded batch, whose attention may be too."""
    if not ctx.features.plain_attention:
        return "it was quicker on TensorRT 8 and measured nowhere else"
    if op.x.type.dtype is not DType.FLOAT16:
        return "attention in float32 is not left to a plugin"
    for node in op.x.graph:
        # What a plugin refused before is an attention of the core by now.
        if isinstance(node.op, ops.Attention) or (
            isinstance(node.op, PackedSelfAttention) and packed_attention.refusal(ctx, node.op)
        ):
            return "not all attention is left to a plugin"
    return None


def _refuses(ctx: Any, op: PackedSkipNorm) -> str | None:
    return refusal(ctx, op) or skip_norm.refusal(ctx, op)


@lowering("tensorrt", PackedSkipNorm, unless=_refuses)
def packed_skip_norm(ctx: TensorRTLowering, op: PackedSkipNorm) -> ITensor:
    """``CustomSkipLayerNormPluginDynamic`` version 1."""
    return skip_norm.skip_norm(ctx, op)
