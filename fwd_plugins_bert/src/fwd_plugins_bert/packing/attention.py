"""Attention between rows of tokens, where padding was removed around it."""

from __future__ import annotations

from dataclasses import dataclass

from fwd_core.ir import Emitter, Node, Value, is_equal, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions import layout as moves
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.fusions.projection import merged
from fwd_plugins_bert.fusions.self_attention import Parts, parts
from fwd_plugins_bert.ops import PackedSelfAttention
from fwd_plugins_bert.packing.maker import NAME, NAME_OF_PADDING
from fwd_plugins_bert.padding import REMOVES, padding, source


@dataclass(frozen=True)
class _Packing:
    """Inputs of a graph without padding: which rows are tokens, where they go, by which mask."""

    rows: Value
    places: Value
    mask: Value
    marks_padding: bool


@dataclass(frozen=True)
class Packed:
    """Attention with its projections, and how its tokens are packed."""

    parts: Parts
    mask: Value
    packing: _Packing


class FusePackedSelfAttention(Fusion[Packed]):
    """Projections of tokens that are put in their places, attention, and the tokens' rows of it.

    It is for attention whose mask removes what was packed away and nothing else: a token then
    attends to all tokens of its sequence, for which there are kernels that need no padding.
    """

    name = "bert-packed-self-attention"

    def find(self, node: Node) -> Packed | Refusal | None:
        """Match the ``Gather`` that takes rows of tokens from the context."""
        op = node.op
        if not isinstance(op, ops.Gather) or op.axis != 0:
            return None
        packing = _packing(op.indices)
        found = None if packing is None else moves.layout(op.x)
        if packing is None or found is None:
            return None
        attention = found.source.producer
        if attention is None or not isinstance(attention.op, ops.Attention):
            return None
        if found.factor != 1.0 or not _is_joined(found):
            return Refusal("heads are not put side by side, token by token")
        if not all(match.is_read_once(one.output) for one in (attention, *found.nodes)):
            return Refusal("others read the context")
        whole = parts(attention, packing.places)
        if not isinstance(whole, Parts):
            return whole
        if any(one.weight.dequantize is not None for one in whole.projections):
            return Refusal("a projection is quantized")
        if whole.projections[0].length_first:
            return Refusal("attention is between sequences, not within them")
        mask, reason = attention.op.mask, _mask_refusal(attention.op, packing)
        if reason is not None:
            return Refusal(reason)
        assert mask is not None
        return Packed(whole, mask, packing)

    def replace(self, found: Packed, emit: Emitter) -> Value:
        """The operator."""
        query = found.parts.projections[0]
        weight, bias = merged(emit, found.parts.projections)
        rows, places = found.packing.rows, found.packing.places
        return emit(
            PackedSelfAttention(
                query.x, weight, bias, found.mask, rows, places, query.heads, found.parts.scale
            ),
            "context",
        )


def _packing(rows: Value) -> _Packing | None:
    """The packing whose rows these are."""
    graph = rows.graph
    for one in graph.derived:
        if one.maker in (NAME, NAME_OF_PADDING) and one.gives[0] == rows.name:
            mask, places = graph.find(one.reads[0]), graph.find(one.gives[1])
            if rows in graph.inputs and mask is not None and places is not None:
                return _Packing(rows, places, mask, one.maker == NAME_OF_PADDING)
    return None


def _mask_refusal(attention: ops.Attention, packing: _Packing) -> str | None:
    if attention.causal:
        return "attention is causal"
    found = None if attention.mask is None else padding(attention.mask)
    if found is None or source(found) != (packing.mask, packing.marks_padding):
        return "the mask is not that of the padding that was removed"
    if found.added > REMOVES:
        return "the mask leaves something of what it takes away"
    return None


def _is_joined(found: moves.Layout) -> bool:
    """Whether it is [tokens, features] of [batch, heads, length, size]."""
    shape = found.source.type.shape
    if len(shape) != 4 or any(offset != 0 for offset in found.offsets):
        return False
    wanted = [[moves.Piece(axis, shape[axis], 1) for axis in axes] for axes in ((0, 2), (1, 3))]
    if len(found.axes) != 2:
        return False
    return all(
        _alike([piece for piece in axis if piece.size != 1], pieces)
        for axis, pieces in zip(wanted, found.axes, strict=True)
    )


def _alike(wanted: list[moves.Piece], found: tuple[moves.Piece, ...]) -> bool:
    return len(wanted) == len(found) and all(
        a.axis == b.axis and a.stride == b.stride and is_equal(a.size, b.size) is True
        for a, b in zip(wanted, found, strict=True)
    )
