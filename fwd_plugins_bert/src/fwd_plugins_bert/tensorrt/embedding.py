"""Embeddings that are added and normalized, by NVIDIA's plugin, and the masks that it packs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fwd_core.backends.tensorrt.context import ILayer, ITensor, TensorRTLowering
from fwd_core.ir import DType, Value
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import EmbeddingNorm
from fwd_plugins_bert.tensorrt import common, turning

_NAME = "CustomEmbLayerNormPluginDynamic"


def _refuses(ctx: Any, op: EmbeddingNorm) -> str | None:
    reason = common.refusal(ctx, op.tables[0], *op.tables, *op.added, op.scale, op.shift)
    reason = reason or common.epsilon_refusal(op.epsilon, op.tables[0].type.dtype)
    if reason is not None:
        return reason
    if len(op.tables) > 2:
        return "the plugin picks rows of two tables"
    shape = op.indices[0].type.shape
    if len(shape) != 2 or not isinstance(shape[1], int):
        return "the plugin needs indices [batch, length] with a fixed length"
    if not all(map(_alike, op.added)):
        return "the plugin adds one row for each position, whatever the sequence"
    return None


@lowering("tensorrt", EmbeddingNorm, unless=_refuses)
def embedding_norm(ctx: TensorRTLowering, op: EmbeddingNorm) -> ITensor:
    """Version 1: words, kinds of tokens, and all that is added as embeddings of positions."""
    (batch, length), size = op.indices[0].type.shape, op.tables[0].type.shape[1]
    assert isinstance(length, int)
    assert isinstance(size, int)
    positions = np.zeros((length, size), np.float32)
    for value in op.added:
        assert value.constant is not None
        rows = value.constant.data.astype(np.float32)
        positions = positions + (rows[0] if rows.ndim == 3 else rows)
    ids = [_turned(ctx, *pair) for pair in zip(op.indices, op.tables, strict=True)]
    kinds = common.floats(op.tables[1]) if len(ids) > 1 else np.zeros(size, np.float32)
    # Without kinds of tokens all are the first row of a table of zeros.
    ids = ids if len(ids) > 1 else [ids[0], ctx.elementwise("SUB", ids[0], ids[0])]
    layer = _layer(
        ctx,
        op.tables[0].type.dtype,
        (
            common.floats(op.tables[0]),
            kinds,
            positions,
            common.vector(op.shift, size, 0.0),
            common.vector(op.scale, size, 1.0),
        ),
        [*ids, ids[0]],  # the mask that it makes of the last one is not read
    )
    turned: Shape = (length, batch, size)
    return turning.offered(ctx, ctx.reshape(ctx.output(layer), (*turned, 1, 1), turned))


def _alike(value: Value) -> bool:
    """Whether what is added is the same for all sequences of a batch."""
    assert value.constant is not None
    data = value.constant.data
    return data.ndim < 3 or bool(np.array_equal(data, np.broadcast_to(data[:1], data.shape)))


def packed_mask(ctx: TensorRTLowering, keep: ITensor, length: int) -> ITensor:
    """What attention by a plugin reads: of tokens, int32 [length, batch], that are 1 if kept.

    Only the plugin for embeddings packs it, so one with tables of a few numbers does.

    Raises:
        BuildError: The plugin has no kernels that read it on this GPU.
    """
    rows = np.arange(64, dtype=np.float32).reshape(2, 32) % 7
    positions = np.arange(length * 32, dtype=np.float32) % 5
    ones = np.ones(32, np.float32)
    fields = (rows.ravel(), rows.ravel(), positions, ones, ones)
    mask = ctx.output(_layer(ctx, DType.FLOAT16, fields, [keep] * 3), 1)
    if tuple(mask.shape)[1] == 1:
        raise ctx.error(
            "NVIDIA's plugin for attention reads no masks of single tokens on this GPU",
            got=f"sm_{common.capability()}, {length} tokens",
            hint="leave qkv out of FWD_BERT_PLUGINS",
        )
    return mask


def _layer(
    ctx: TensorRTLowering,
    dtype: DType,
    tables: tuple[common.Array, common.Array, common.Array, common.Array, common.Array],
    inputs: list[ITensor],
) -> ILayer:
    names = ("word_embeddings", "token_type_embeddings", "position_embeddings")
    keys = (*names, "layernorm_beta", "layernorm_gamma")
    fields: dict[str, common.Array] = {
        f"bert_embeddings_{key}": table.astype(np.float32).ravel()
        for key, table in zip(keys, tables, strict=True)
    }
    fields["output_fp16"] = common.type_id(dtype)
    fields["full_mask"] = common.integer(0)
    fields["mha_type_id"] = common.type_id(dtype)
    return ctx.plugin(_NAME, "1", fields, inputs)


def _turned(ctx: TensorRTLowering, index: Value, table: Value) -> ITensor:
    """Indices as int32 [length, batch], counted from the front."""
    tensor, rows = ctx[index], table.type.shape[0]
    if ctx.computed(index.type.dtype) != "INT32":
        tensor = ctx.cast(tensor, "INT32")
    assert isinstance(rows, int)
    zero, count = (ctx.scalar(number, DType.INT32, 2) for number in (0, rows))
    wrapped = ctx.elementwise("SUM", tensor, count)
    tensor = ctx("select", ctx.elementwise("LESS", tensor, zero), wrapped, tensor)
    return ctx.transpose(tensor, (1, 0))
