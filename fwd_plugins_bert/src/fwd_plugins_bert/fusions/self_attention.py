"""Attention of a tensor to itself, with its projections, as one operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fwd_core.ir import Dim, Emitter, Node, Value, is_equal, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.fusions.projection import Projection, merged, projection
from fwd_plugins_bert.fusions.scores import WrittenOut, written_out
from fwd_plugins_bert.ops import SelfAttention


@dataclass(frozen=True)
class Parts:
    """Attention and where its operands come from."""

    attention: ops.Attention | WrittenOut
    projections: tuple[Projection, Projection, Projection]
    scale: float
    result: Value


class FuseSelfAttention(Fusion[Parts]):
    """Attention whose query, key and value are projections of one tensor, cut into heads."""

    name = "bert-self-attention"

    def find(self, node: Node) -> Parts | Refusal | None:
        """Match ``Attention``, or the last product of one that is written out."""
        return parts(node)

    def replace(self, found: Parts, emit: Emitter) -> Value:
        """The operator, then its heads apart again, which clean-up joins with what follows."""
        query = found.projections[0]
        weight, bias = merged(emit, found.projections)
        x = query.x
        if query.length_first:
            x = emit(ops.Transpose(x, (1, 0, 2)), "batch_first")
        mask, causal = _mask(found.attention, emit)
        empty: Literal["zeros", "nan"] = (
            "zeros" if isinstance(found.attention, ops.Attention) else "nan"
        )
        context = emit(
            SelfAttention(x, weight, bias, mask, query.heads, found.scale, causal, empty),
            "context",
        )
        batch, length, _ = context.type.shape
        heads = emit(ops.Reshape(context, (batch, length, query.heads, query.size)), "heads")
        apart = emit(ops.Transpose(heads, (0, 2, 1, 3)), "apart")
        if apart.type == found.result.type:
            return apart
        return emit(ops.Reshape(apart, found.result.type.shape), "joined")


def parts(node: Node, places: Value | None = None) -> Parts | Refusal | None:
    """Attention of one tensor to itself, whose last node this is.

    Args:
        node: ``Attention``, or the last product of one that is written out.
        places: If projections are of tokens alone, by which they are put in their places.
    """
    if isinstance(node.op, ops.Attention):
        attention: ops.Attention | WrittenOut = node.op
        operands = (node.op.query, node.op.key, node.op.value)
        readers: tuple[Node, ...]
        swapped, readers = (False, False, False), (node,)
        if node.op.scale is None and not isinstance(node.op.query.type.shape[-1], int):
            return Refusal("the size of a head is dynamic")
        scale = node.op.factor()
    else:
        found = written_out(node)
        if found is None or isinstance(found, Refusal):
            return found
        attention, operands, swapped = found, found.operands, found.swapped
        readers, scale = found.nodes, found.scale
    found_all = []
    for operand, is_swapped in zip(operands, swapped, strict=True):
        one = projection(operand, is_swapped, places)
        if not isinstance(one, Projection):
            return one
        found_all.append(one)
    query, key, value = found_all
    reason = _difference(query, key, value) or _outside(found_all, readers)
    batch = places.type.shape[0] if places is not None else _batch(query)
    if reason is None and not _masks_fit(attention, node.output, batch, query.heads):
        reason = "the mask is not one of [batch, heads, length, length]"
    if reason is not None:
        return Refusal(reason)
    scale *= query.factor * key.factor
    return Parts(attention, (query, key, value), scale, node.output)


def _difference(query: Projection, key: Projection, value: Projection) -> str | None:
    if not (query.x is key.x is value.x):
        return "query, key and value are not projections of one tensor"
    if value.factor != 1.0:
        return f"the values are multiplied by {value.factor:g}"
    if len({(one.heads, one.size, one.length_first) for one in (query, key, value)}) != 1:
        return "query, key and value have not the same heads"
    if len({one.weight.form() for one in (query, key, value)}) != 1:
        return "not all projections are quantized alike"
    return None


def _outside(projections: list[Projection], attention: tuple[Node, ...]) -> str | None:
    inside = {node for one in projections for node in one.nodes}.union(attention)
    for one in projections:
        for node in one.nodes:
            if node.output in node.output.graph.outputs or not inside.issuperset(node.output.users):
                return "others read the query, key or value"
    return None


def _batch(query: Projection) -> Dim:
    return query.x.type.shape[1 if query.length_first else 0]


def _masks_fit(
    attention: ops.Attention | WrittenOut, result: Value, batch: Dim, heads: int
) -> bool:
    """Whether masks mean the same for scores of [batch, heads, length, length].

    Batch and heads may be cut otherwise where attention is computed, as all in the first axis.
    """
    if isinstance(attention, ops.Attention):
        masks = [] if attention.mask is None else [attention.mask]
    else:
        masks = [added.mask for added in attention.masks]
    lead = result.type.shape[:-2]
    same = len(lead) == 2 and is_equal(lead[0], batch) is True and lead[1] == heads
    return all(
        mask.type.rank <= 4 and (same or all(size == 1 for size in mask.type.shape[:-2]))
        for mask in masks
    )


def _mask(attention: ops.Attention | WrittenOut, emit: Emitter) -> tuple[Value | None, bool]:
    if isinstance(attention, ops.Attention):
        return attention.mask, attention.causal
    return attention.mask(emit), False
