"""Embeddings that are added and normalized, by a kernel of our own."""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import DType, Value, is_equal
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.kernels import norms
from fwd_plugins_bert.ops import EmbeddingNorm
from fwd_plugins_bert.tensorrt.own import NAMESPACE
from fwd_plugins_bert.tensorrt.own.base import arrays
from fwd_plugins_bert.tensorrt.own.classes import EMBEDDING_NORM
from fwd_plugins_bert.tensorrt.own.lowering import compiles, refusal


def _refuses(ctx: Any, op: EmbeddingNorm) -> str | None:
    reason = refusal(ctx, op.tables[0])
    if reason is not None:
        return reason
    if max(len(op.tables), len(op.added)) > norms.MOST_TERMS:
        return f"kernels add rows of {norms.MOST_TERMS} tables and {norms.MOST_TERMS} tensors"
    shape = (*op.indices[0].type.shape, op.tables[0].type.shape[1])
    if not all(_repeats(value, shape) for value in op.added):
        return "kernels add whole rows, which come again in the same order"
    return None


def _repeats(value: Value, shape: Shape) -> bool:
    """Whether broadcasting to a shape reads the rows of a value in order, again and again."""
    small = list(value.type.shape)
    while len(small) > 1 and small[0] == 1:
        del small[0]
    behind = shape[len(shape) - len(small) :]
    return bool(small) and all(is_equal(a, b) is True for a, b in zip(small, behind, strict=True))


@lowering("tensorrt", EmbeddingNorm, unless=_refuses)
def embedding_norm(ctx: TensorRTLowering, op: EmbeddingNorm) -> ITensor:
    """``ForwardEmbeddingNorm``: tables and all else are inputs, constant or not."""
    width = op.tables[0].type.shape[1]
    assert isinstance(width, int)
    there = {"scale": op.scale is not None, "shift": op.shift is not None}
    half, tables, added = op.tables[0].type.dtype is DType.FLOAT16, len(op.tables), len(op.added)
    compiles(norms.Norm(width, half, **there, tables=tables, added=added))
    fields = arrays(
        EMBEDDING_NORM, {"epsilon": op.epsilon, "tables": tables, "added": added, **there}
    )
    inputs = []
    for index, table in zip(op.indices, op.tables, strict=True):
        wide = ctx.computed(index.type.dtype) != "INT32"
        inputs += [ctx.cast(ctx[index], "INT32") if wide else ctx[index], ctx[table]]
    inputs += [ctx[value] for value in (*op.added, op.scale, op.shift) if value is not None]
    return ctx.output(ctx.plugin_v3(NAMESPACE, "ForwardEmbeddingNorm", fields, inputs))
