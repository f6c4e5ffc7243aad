"""Self-attention by NVIDIA's plugin: one product, and one kernel for all that follows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import empty_rows
from fwd_core.backends.tensorrt.lowering.reduction import reduced
from fwd_core.ir import Dim, DType, Tensor
from fwd_core.ir.dims import product
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import PackedSelfAttention, SelfAttention
from fwd_plugins_bert.padding import REMOVES, Padding, padding
from fwd_plugins_bert.tensorrt import common, turning
from fwd_plugins_bert.tensorrt.counting import counted
from fwd_plugins_bert.tensorrt.embedding import packed_mask
from fwd_plugins_bert.tensorrt.products import projected

_NAME = "CustomQKVToContextPluginDynamic"
#: GPUs with kernels; on others version 2 stops the process.
_GPUS = (75, 80, 86, 89, 90)
#: Lengths for which version 1 has kernels that read which tokens are kept; for others it counts
#: tokens up to the first that is not, which is another thing.
_MASKED = (64, 96, 128, 384)
#: Lengths that version 2 has kernels for with heads of 64, each for all sequences up to it; with
#: heads of 32 for some, and not on sm_90. There those of 128, 256 and 384 are of another make.
_KERNELS = (64, 96, 128, 256, 384, 512)
_NARROW = (128, 256, 512)


def refusal(ctx: Any, op: SelfAttention | PackedSelfAttention, length: Dim) -> str | None:
    """Why no version of the plugin takes attention over sequences of that length."""
    reason = common.refusal(ctx, op.x, op.weight, op.bias)
    if reason is not None:
        return reason
    if op.x.type.dtype is not DType.FLOAT16:
        return "the plugin has fused kernels for float16 only"
    if common.capability() not in _GPUS:
        return f"the plugin has kernels for {', '.join(f'sm_{gpu}' for gpu in _GPUS)}"
    return None if isinstance(length, int) else "the plugin needs a fixed length"


def _refuses(ctx: Any, op: SelfAttention) -> str | None:
    length = op.x.type.shape[1]
    reason = refusal(ctx, op, length)
    if reason is not None:
        return reason
    if op.causal:
        return "the plugin has no causal mask"
    assert isinstance(length, int)
    return _masked_refusal(op, length) if op.mask is not None else size_refusal(op.size(), length)


def size_refusal(size: int, length: int) -> str | None:
    """Why version 2 has no kernel for heads of that size and sequences of that length."""
    if length > _KERNELS[-1]:
        return f"the plugin takes {_KERNELS[-1]} tokens at most"
    if size == 64:
        return None
    if size == 32 and _kernel(length) in _NARROW and common.capability() != 90:
        return None
    return f"the plugin has no kernel for heads of {size} and {length} tokens here"


def _kernel(length: int) -> int:
    return next(one for one in _KERNELS if length <= one)


def _masked_refusal(op: SelfAttention, length: int) -> str | None:
    assert op.mask is not None
    if op.size() != 64 or length not in _MASKED:
        lengths = ", ".join(map(str, _MASKED))
        return f"with a mask the plugin has kernels for heads of 64 and lengths of {lengths}"
    found = padding(op.mask)
    if found is None or found.tokens.type.shape != op.x.type.shape[:2]:
        return "the plugin takes masks of padding only"
    if found.added > REMOVES:
        return "the mask leaves something of what it takes away"
    if found.added == -math.inf and op.empty_rows == "nan":
        return "a sequence of padding alone gives numbers, not NaN"
    return None


@lowering("tensorrt", SelfAttention, unless=_refuses)
def self_attention(ctx: TensorRTLowering, op: SelfAttention) -> ITensor:
    """Version 2 where all tokens are kept, version 1 with a mask of padding."""
    found = None if op.mask is None else padding(op.mask)
    return _all_kept(ctx, op) if found is None else _some_kept(ctx, op, found)


def _fields(op: SelfAttention | PackedSelfAttention) -> dict[str, common.Array]:
    return {
        "type_id": common.type_id(op.x.type.dtype),
        "hidden_size": common.integer(op.heads * op.size()),
        "num_heads": common.integer(op.heads),
        "has_mask": common.integer(0 if op.mask is None else 1),
    }


def _all_kept(ctx: TensorRTLowering, op: SelfAttention) -> ITensor:
    """Sequences end to end, as they lie in memory, with where each begins."""
    batch, length, _ = op.x.type.shape
    assert isinstance(length, int)
    wide = op.heads * op.size()
    tokens = product((batch, length))
    qkv = projected_heads(ctx, op, ctx[op.x], op.x.type.shape)
    qkv = ctx.reshape(qkv, (batch, length, 3 * wide), (tokens, 3 * wide, 1, 1))
    key = "bert sequences", batch, length, ctx.graph
    if key not in ctx.memo:
        ctx.memo[key] = counted(ctx, batch + 1, length)
    context = end_to_end(ctx, op, qkv, ctx.memo[key], length)
    return ctx.reshape(context, (tokens, wide, 1, 1), (batch, length, wide))


def end_to_end(
    ctx: TensorRTLowering,
    op: SelfAttention | PackedSelfAttention,
    qkv: ITensor,
    begins: ITensor,
    length: int,
) -> ITensor:
    """The context of tokens, half [tokens, features, 1, 1], of sequences end to end.

    Args:
        ctx: Where layers are added.
        op: The attention.
        qkv: Half [tokens, 3 * features, 1, 1], query, key and value of each head side by side.
        begins: int32 [batch + 1], where each sequence begins among the tokens, and the last ends.
            Behind that nothing is written.
        length: What no sequence exceeds.
    """
    key = "bert longest", length, ctx.graph
    if key not in ctx.memo:
        # Only the size of this input is read: which kernel to take.
        ctx.memo[key] = ctx.constant(Tensor(np.zeros(_kernel(length), np.int32)))
    longest = ctx.memo[key]
    has = {"has_mask": common.integer(1), "var_seqlen": common.integer(1)}
    # The second input is a mask that is not read, but counted.
    return ctx.output(
        ctx.plugin(_NAME, "2", {**_fields(op), **has}, [qkv, longest, begins, longest])
    )


def _some_kept(ctx: TensorRTLowering, op: SelfAttention, found: Padding) -> ITensor:
    batch, length, features = op.x.type.shape
    assert isinstance(length, int)
    assert op.mask is not None
    wide = op.heads * op.size()
    key = "bert mask", found.tokens, found.kept
    if key not in ctx.memo:
        ctx.memo[key] = _masks(ctx, found, length)
    packed, some = ctx.memo[key]
    qkv = projected_heads(ctx, op, turning.turned(ctx, op.x), (length, batch, features))
    shape: Shape = (length, batch, 3 * wide)
    qkv = ctx.reshape(qkv, shape, (*shape, 1, 1))
    layer = ctx.plugin(_NAME, "1", _fields(op), [qkv, packed])
    context = ctx.reshape(ctx.output(layer), (length, batch, wide, 1, 1), (length, batch, wide))
    # Of a sequence of padding alone the kernel makes the mean of the values.
    if found.added == -math.inf and not empty_rows.are_left(ctx, op.mask, some):
        some = ctx.reshape(some, (batch, 1, 1, 1), (1, batch, 1))
        context = ctx("select", some, context, ctx.scalar(0.0, op.x.type.dtype, 3))
    return turning.handed_on(ctx, context)


def _masks(ctx: TensorRTLowering, found: Padding, length: int) -> tuple[ITensor, ITensor]:
    """The packed mask, and which sequences keep a token: bool [batch, 1, 1, 1]."""
    batch = found.tokens.type.shape[0]
    flags = kept_flags(ctx, found)
    some = ctx.cast(reduced(ctx, flags, "MAX", (1,), True), "BOOL")
    some = ctx.reshape(some, (batch, 1), (batch, 1, 1, 1))
    return packed_mask(ctx, ctx.transpose(flags, (1, 0)), length), some


def kept_flags(ctx: TensorRTLowering, found: Padding) -> ITensor:
    """Which tokens are kept, as int32 [batch, length] of 1 and 0."""
    keep = ctx[found.tokens]
    if found.tokens.type.dtype is not DType.BOOL:
        keep = ctx.cast(keep, "BOOL")
    if not found.kept:
        keep = ctx.unary("NOT", keep)
    return ctx.cast(keep, "INT32")


def projected_heads(
    ctx: TensorRTLowering,
    op: SelfAttention | PackedSelfAttention,
    x: ITensor,
    shape: Shape,
    forms: tuple[str, ...] = ("fc",),
) -> ITensor:
    """Query, key and value of each head side by side, scaled so that the plugin's own scale fits.

    The plugin divides scores by the square root of the size of heads. ``forms`` are those of
    :func:`~fwd_plugins_bert.tensorrt.products.projected`.
    """
    assert op.weight.constant is not None
    factor = op.scale * math.sqrt(op.size())
    weight, bias = (
        None
        if value is None or value.constant is None
        else Tensor(side_by_side(value.constant.data, op.heads, factor)).astype(op.x.type.dtype)
        for value in (op.weight, op.bias)
    )
    assert weight is not None
    return projected(ctx, x, shape, weight, bias, forms)


def side_by_side(rows: common.Array, heads: int, factor: float) -> NDArray[np.float32]:
    """Rows of a weight or bias, query, key and value of each head together, the query scaled.

    Args:
        rows: Those of all queries, then keys, then values, head after head.
        heads: How many heads there are.
        factor: Of the query's rows.
    """
    apart = rows.astype(np.float32).reshape(3, heads, -1, *rows.shape[1:])
    if not math.isclose(factor, 1.0, rel_tol=1e-6):
        apart[0] *= factor
    return np.ascontiguousarray(apart.swapaxes(0, 1).reshape(rows.shape))
