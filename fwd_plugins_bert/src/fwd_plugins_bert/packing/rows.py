"""What surrounds attention between rows of tokens, as operators of such rows.

They are made where all attention of a graph is between rows of tokens. Kernels of it part a
network, and what is left between them is computed quickest by others than in a padded batch.
"""

from __future__ import annotations

import dataclasses
from dataclasses import fields

from fwd_core.ir import Emitter, Graph, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.fusions.skip_norm import FuseSkipNorm
from fwd_plugins_bert.ops import (
    PackedLinear,
    PackedSelfAttention,
    PackedSkipNorm,
    SelfAttention,
    SkipNorm,
)
from fwd_plugins_bert.packing.maker import NAME, NAME_OF_PADDING

_ELSEWHERE = Refusal("not all attention is between rows of tokens")


class FusePackedLinear(Fusion[PackedLinear]):
    """``Linear`` of rows of tokens with constants, and ``Gelu`` that alone reads it."""

    name = "bert-packed-linear"

    def find(self, node: Node) -> PackedLinear | Refusal | None:
        """Match the product, or the activation of one that was matched before."""
        op = node.op
        if isinstance(op, ops.Gelu):
            linear = match.made_by(op.x, PackedLinear)
            if linear is None or linear.activation != "identity":
                return None
            if not match.is_read_once(op.x):
                return Refusal("others read what GELU is taken of")
            by_tanh = op.approximate == "tanh"
            return dataclasses.replace(linear, activation="gelu_tanh" if by_tanh else "gelu")
        if not isinstance(op, ops.Linear) or not _are_tokens(op.x):
            return None
        if any(value is not None and value.constant is None for value in (op.weight, op.bias)):
            return Refusal("the weight or the bias is no constant, as where it is quantized")
        return PackedLinear(op.x, op.weight, op.bias) if _between_rows(op.x.graph) else _ELSEWHERE

    def replace(self, found: PackedLinear, emit: Emitter) -> Value:
        """The operator."""
        return emit(found, "linear")


class FusePackedSkipNorm(FuseSkipNorm):
    """:class:`FuseSkipNorm` of rows of tokens."""

    name = "bert-packed-skip-norm"

    def find(self, node: Node) -> SkipNorm | Refusal | None:
        """Match the normalization of a sum."""
        if not isinstance(node.op, ops.LayerNorm) or not _are_tokens(node.op.x):
            return None
        found = super().find(node)
        if not isinstance(found, SkipNorm):
            return found
        if not _between_rows(node.output.graph):
            return _ELSEWHERE
        return PackedSkipNorm(**{one.name: getattr(found, one.name) for one in fields(found)})


def _are_tokens(value: Value) -> bool:
    """Whether the rows of a matrix are those that a packing has."""
    if value.type.rank != 2:
        return False
    graph = value.graph
    for one in graph.derived:
        if one.maker in (NAME, NAME_OF_PADDING):
            rows = graph.find(one.gives[0])
            if rows is not None and rows.type.shape == value.type.shape[:1]:
                return True
    return False


def _between_rows(graph: Graph) -> bool:
    """Whether there is attention between rows of tokens, and no other."""
    kinds = {type(node.op) for node in graph}
    return PackedSelfAttention in kinds and kinds.isdisjoint((ops.Attention, SelfAttention))
