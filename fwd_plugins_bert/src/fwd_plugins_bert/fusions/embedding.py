"""Embeddings that are added and normalized, as one operator."""

from __future__ import annotations

from fwd_core.ir import Emitter, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.ops import EmbeddingNorm

#: Embeddings and what is added to them; of longer sums the first ones are one term.
_MOST_TERMS = 16


class FuseEmbeddingNorm(Fusion[EmbeddingNorm]):
    """``LayerNorm`` over the last axis of a sum in which rows of tables are picked."""

    name = "bert-embedding-norm"

    def find(self, node: Node) -> EmbeddingNorm | Refusal | None:
        """Match the normalization of a sum with a ``Gather`` from a constant table in it."""
        op = node.op
        if not isinstance(op, ops.LayerNorm):
            return None
        terms = _terms(op.x)
        picked = [(term, gather) for term in terms if (gather := _rows(term)) is not None]
        if not picked:
            return None
        if not match.is_read_once(op.x):
            return Refusal("others read the sum of embeddings")
        if op.axes != 1:
            return Refusal("it normalizes more than the last axis")
        shape = op.x.type.shape
        whole = [gather for term, gather in picked if term.type.shape == shape]
        if not whole:
            return Refusal("no table is indexed for the whole of the sum")
        taken = {id(gather) for gather in whole}
        return EmbeddingNorm(
            tuple(gather.x for gather in whole),
            tuple(gather.indices for gather in whole),
            tuple(term for term in terms if id(_rows(term)) not in taken),
            op.scale,
            op.shift,
            op.epsilon,
        )

    def replace(self, found: EmbeddingNorm, emit: Emitter) -> Value:
        """The operator."""
        return emit(found, "embedding_norm")


def _terms(total: Value) -> list[Value]:
    """What a sum of sums adds, in order; a sum that others read too is one term."""
    terms: list[Value] = []
    pending = [total]
    while pending:
        value = pending.pop()
        op = match.made_by(value, ops.Add)
        whole = len(terms) + len(pending) >= _MOST_TERMS
        if op is None or whole or not (value is total or match.is_read_once(value)):
            terms.append(value)
        else:
            pending += [op.b, op.a]
    return terms


def _rows(value: Value) -> ops.Gather | None:
    gather = match.made_by(value, ops.Gather)
    if gather is None or gather.axis != 0 or gather.x.type.rank != 2:
        return None
    return gather if gather.x.constant is not None else None
