"""What surrounds attention without padding, on TensorRT 8: NVIDIA's norm, products with GELU.

Its plugin for attention parts a network, and TensorRT 8 fuses what is left in other forms than in
a padded batch: docs/benchmarks/gpu-bert.md has the times.
"""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import DType
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import PackedLinear, PackedSelfAttention, PackedSkipNorm
from fwd_plugins_bert.tensorrt import packed_attention, products, skip_norm, tanh


def _refuses(ctx: Any, op: PackedLinear | PackedSkipNorm) -> str | None:
    if not ctx.features.plain_attention:
        return "it was quicker on TensorRT 8 and measured nowhere else"
    if op.x.type.dtype is not DType.FLOAT16:
        return "attention in float32 is not left to a plugin"
    attention = (node.op for node in op.x.graph if isinstance(node.op, PackedSelfAttention))
    if all(packed_attention.refusal(ctx, one) is not None for one in attention):
        return "attention is not left to a plugin"
    return None


def _refuses_norm(ctx: Any, op: PackedSkipNorm) -> str | None:
    return _refuses(ctx, op) or skip_norm.refusal(ctx, op)


@lowering("tensorrt", PackedLinear, unless=_refuses)
def packed_linear(ctx: TensorRTLowering, op: PackedLinear) -> ITensor:
    """A convolution of one pixel, and GELU by tanh, in steps that are merged into it."""
    weight, bias = op.weight.constant, None if op.bias is None else op.bias.constant
    assert weight is not None
    result = products.convolved(ctx, ctx[op.x], op.x.type.shape, weight, bias)
    if op.activation == "identity":
        return result
    return tanh.by_tanh(ctx, result, op.x.type.dtype, 2)


@lowering("tensorrt", PackedSkipNorm, unless=_refuses_norm)
def packed_skip_norm(ctx: TensorRTLowering, op: PackedSkipNorm) -> ITensor:
    """``CustomSkipLayerNormPluginDynamic`` version 1."""
    return skip_norm.skip_norm(ctx, op)
