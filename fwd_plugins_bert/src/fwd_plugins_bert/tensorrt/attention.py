"""Self-attention by NVIDIA's plugin: one product, and one kernel for all that follows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import empty_rows
from fwd_core.backends.tensorrt.lowering.creation import steps
from fwd_core.backends.tensorrt.lowering.reduction import reduced
from fwd_core.ir import DType, Tensor
from fwd_core.ir.dims import product
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import SelfAttention
from fwd_plugins_bert.padding import Padding, padding
from fwd_plugins_bert.tensorrt import common, turning
from fwd_plugins_bert.tensorrt.embedding import packed_mask
from fwd_plugins_bert.tensorrt.products import projected

_NAME = "CustomQKVToContextPluginDynamic"
#: GPUs with kernels; on others version 2 stops the process.
_GPUS = (75, 80, 86, 89, 90)
#: Lengths for which version 1 has kernels that read which tokens are kept; for others it counts
#: tokens up to the first that is not, which is another thing.
_MASKED = (64, 96, 128, 384)
#: Up to which lengths version 2 has kernels, by the size of heads; those of 32 not for sm_90.
_LONGEST = 512
#: What is added to a score so that nothing is left of its weight.
_REMOVES = -1000.0


def _refuses(ctx: Any, op: SelfAttention) -> str | None:
    reason = common.refusal(ctx, op.x, op.weight, op.bias)
    if reason is not None:
        return reason
    if op.x.type.dtype is not DType.FLOAT16:
        return "the plugin has fused kernels for float16 only"
    if common.capability() not in _GPUS:
        return f"the plugin has kernels for {', '.join(f'sm_{gpu}' for gpu in _GPUS)}"
    if op.causal:
        return "the plugin has no causal mask"
    length = op.x.type.shape[1]
    if not isinstance(length, int):
        return "the plugin needs a fixed length"
    return _whole(op, length) if op.mask is None else _masked_refusal(op, length)


def _whole(op: SelfAttention, length: int) -> str | None:
    size = op.size()
    rounded = next((one for one in (64, 96, 128, 256, 384, 512) if length <= one), None)
    if rounded is None:
        return f"the plugin takes {_LONGEST} tokens at most"
    if size == 64 or (size == 32 and rounded in (128, 256, 512) and common.capability() != 90):
        return None
    return f"the plugin has no kernel for heads of {size} and {length} tokens here"


def _masked_refusal(op: SelfAttention, length: int) -> str | None:
    assert op.mask is not None
    if op.size() != 64 or length not in _MASKED:
        lengths = ", ".join(map(str, _MASKED))
        return f"with a mask the plugin has kernels for heads of 64 and lengths of {lengths}"
    found = padding(op.mask)
    if found is None or found.tokens.type.shape != op.x.type.shape[:2]:
        return "the plugin takes masks of padding only"
    if found.added > _REMOVES:
        return "the mask leaves something of what it takes away"
    if found.added == -math.inf and op.empty_rows == "nan":
        return "a sequence of padding alone gives numbers, not NaN"
    return None


@lowering("tensorrt", SelfAttention, unless=_refuses)
def self_attention(ctx: TensorRTLowering, op: SelfAttention) -> ITensor:
    """Version 2 where all tokens are kept, version 1 with a mask of padding."""
    found = None if op.mask is None else padding(op.mask)
    return _all_kept(ctx, op) if found is None else _some_kept(ctx, op, found)


def _fields(op: SelfAttention) -> dict[str, common.Array]:
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
    qkv = _product(ctx, op, ctx[op.x], op.x.type.shape)
    qkv = ctx.reshape(qkv, (batch, length, 3 * wide), (tokens, 3 * wide, 1, 1))
    key = "bert sequences", batch, length, ctx.graph
    if key not in ctx.memo:
        begins = steps(ctx, batch + 1, 0, length, DType.INT32)
        # Only the size of the last one is read: the greatest length.
        ctx.memo[key] = begins, ctx.constant(Tensor(np.zeros(length, np.int32)))
    begins, longest = ctx.memo[key]
    fields = {**_fields(op), "has_mask": common.integer(1), "var_seqlen": common.integer(1)}
    # The second input is a mask that is not read, but counted.
    layer = ctx.plugin(_NAME, "2", fields, [qkv, longest, begins, longest])
    return ctx.reshape(ctx.output(layer), (tokens, wide, 1, 1), (batch, length, wide))


def _some_kept(ctx: TensorRTLowering, op: SelfAttention, found: Padding) -> ITensor:
    batch, length, features = op.x.type.shape
    assert isinstance(length, int)
    assert op.mask is not None
    wide = op.heads * op.size()
    key = "bert mask", found.tokens, found.kept
    if key not in ctx.memo:
        ctx.memo[key] = _masks(ctx, found, length)
    packed, some = ctx.memo[key]
    qkv = _product(ctx, op, turning.turned(ctx, op.x), (length, batch, features))
    shape: Shape = (length, batch, 3 * wide)
    qkv = ctx.reshape(qkv, shape, (*shape, 1, 1))
    layer = ctx.plugin(_NAME, "1", _fields(op), [qkv, packed])
    context = ctx.reshape(ctx.output(layer), (length, batch, wide, 1, 1), (length, batch, wide))
    # Of a sequence of padding alone the kernel makes the mean of the values.
    if found.added == -math.inf and not empty_rows.defer(ctx, op.mask, some):
        some = ctx.reshape(some, (batch, 1, 1, 1), (1, batch, 1))
        context = ctx("select", some, context, ctx.scalar(0.0, op.x.type.dtype, 3))
    return turning.handed_on(ctx, context)


def _masks(ctx: TensorRTLowering, found: Padding, length: int) -> tuple[ITensor, ITensor]:
    """The packed mask, and which sequences keep a token: bool [batch, 1, 1, 1]."""
    keep = ctx[found.tokens]
    if found.tokens.type.dtype is not DType.BOOL:
        keep = ctx.cast(keep, "BOOL")
    if not found.kept:
        keep = ctx.unary("NOT", keep)
    batch = found.tokens.type.shape[0]
    flags = ctx.cast(keep, "INT32")
    some = ctx.cast(reduced(ctx, flags, "MAX", (1,), True), "BOOL")
    some = ctx.reshape(some, (batch, 1), (batch, 1, 1, 1))
    return packed_mask(ctx, ctx.transpose(flags, (1, 0)), length), some


def _product(ctx: TensorRTLowering, op: SelfAttention, x: ITensor, shape: Shape) -> ITensor:
    """Query, key and value of each head side by side, scaled so that the plugin's own scale fits.

    The plugin divides scores by the square root of the size of heads.
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
    return projected(ctx, x, shape, weight, bias)


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
