"""Self-attention without padding, by NVIDIA's plugin: on rows of tokens, as they are."""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.reduction import reduced
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import PackedSelfAttention
from fwd_plugins_bert.padding import REMOVES, Padding, padding
from fwd_plugins_bert.tensorrt import attention
from fwd_plugins_bert.tensorrt.counting import counted


def refusal(ctx: Any, op: PackedSelfAttention) -> str | None:
    """Why the plugin does not take it."""
    if ctx.bytewise:
        return "beside tensors of 8 bits it has not been run"
    length = op.places.type.shape[1]
    reason = attention.refusal(ctx, op, length) or _mask_refusal(op)
    if reason is not None:
        return reason
    assert isinstance(length, int)
    return attention.size_refusal(op.size(), length)


def _mask_refusal(op: PackedSelfAttention) -> str | None:
    found = padding(op.mask)
    if found is None or found.tokens.type.shape != op.places.type.shape:
        return "the plugin takes masks of padding only"
    return "the mask leaves something of what it takes away" if found.added > REMOVES else None


@lowering("tensorrt", PackedSelfAttention, unless=refusal)
def packed_self_attention(ctx: TensorRTLowering, op: PackedSelfAttention) -> ITensor:
    """Version 2, which is told where sequences begin. Rows that repeat another stay unwritten."""
    found, length = padding(op.mask), op.places.type.shape[1]
    assert found is not None
    assert isinstance(length, int)
    (tokens,), wide = op.rows.type.shape, op.heads * op.size()
    key = "bert begins", found.tokens, found.kept
    if key not in ctx.memo:
        ctx.memo[key] = _begins(ctx, found)
    shape = tokens, op.x.type.shape[1]
    qkv = attention.projected_heads(ctx, op, ctx[op.x], shape, ("fc", "packed-fc"))
    qkv = ctx.reshape(qkv, (tokens, 3 * wide), (tokens, 3 * wide, 1, 1))
    context = attention.end_to_end(ctx, op, qkv, ctx.memo[key], length)
    return ctx.reshape(context, (tokens, wide, 1, 1), (tokens, wide))


def _begins(ctx: TensorRTLowering, found: Padding) -> ITensor:
    """How many tokens come before each sequence, and how many there are: int32 [batch + 1]."""
    batch = found.tokens.type.shape[0]
    counts = reduced(ctx, attention.kept_flags(ctx, found), "SUM", (1,), True)
    sequence = ctx.reshape(counted(ctx, batch), (batch,), (batch, 1))
    place = ctx.reshape(counted(ctx, batch + 1), (batch + 1,), (1, batch + 1))
    before = ctx.cast(ctx.elementwise("LESS", sequence, place), "INT32")
    return reduced(ctx, ctx.elementwise("PROD", before, counts), "SUM", (0,), False)
