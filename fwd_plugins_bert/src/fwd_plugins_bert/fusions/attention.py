"""Attention that is written out, as one operator."""

from __future__ import annotations

import dataclasses

from fwd_core.ir import Emitter, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.fusions.scores import WrittenOut, written_out


class FuseAttention(Fusion[WrittenOut]):
    """softmax(query key^T * scale + mask) value is ``Attention``."""

    name = "bert-attention"

    def find(self, node: Node) -> WrittenOut | Refusal | None:
        """Match the last product, where no row of scores can be minus infinity alone."""
        found = written_out(node)
        if isinstance(found, WrittenOut) and found.may_empty_rows():
            return Refusal(
                "the mask may be minus infinity in a whole row, which gives NaN here and zeros in "
                "Attention"
            )
        return found

    def replace(self, found: WrittenOut, emit: Emitter) -> Value:
        """The operator, with masks that are added as one."""
        query, key, value = found.upright(emit)
        return emit(
            ops.Attention(query, key, value, found.mask(emit), False, found.scale), "attention"
        )


class DropNeutralMask(Fusion[ops.Attention]):
    """A mask that removes nothing, or adds nothing, is none."""

    name = "bert-neutral-mask"

    def find(self, node: Node) -> ops.Attention | Refusal | None:
        """Match an ``Attention`` whose mask is a constant of true, or of zeros."""
        op = node.op
        if not isinstance(op, ops.Attention) or op.mask is None:
            return None
        neutral = 0.0 if op.mask.type.dtype.is_float else 1.0
        if not match.is_all(op.mask, neutral):
            return None
        return dataclasses.replace(op, mask=None)

    def replace(self, found: ops.Attention, emit: Emitter) -> Value:
        """The same without the mask."""
        return emit(found, "attention")
