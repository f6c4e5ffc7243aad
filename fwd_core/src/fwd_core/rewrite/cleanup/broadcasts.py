"""Leave broadcasting to the operators that do it by themselves."""

from __future__ import annotations

import dataclasses

from fwd_core.errors import GraphError
from fwd_core.ir import ops
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Node, Value
from fwd_core.ir.operator import Operator
from fwd_core.rewrite.base import NodeRewrite

#: Operators whose operands broadcast.
_BROADCASTING = (
    *(ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Maximum, ops.Minimum, ops.Pow),
    *(ops.Equal, ops.NotEqual, ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual),
    *(ops.And, ops.Or, ops.Xor, ops.Where),
)


class RemoveNeutralMasks(NodeRewrite):
    """``x & true`` and ``x | false`` are ``x``.

    Models of transformers join a mask of padding with one that removes nothing, of the full size.
    """

    name = "remove-neutral-masks"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match ``And`` and ``Or`` with a constant that changes nothing."""
        op = node.op
        if not isinstance(op, (ops.And, ops.Or)):
            return None
        neutral = isinstance(op, ops.And)
        for mask, other in ((op.a, op.b), (op.b, op.a)):
            known = mask.constant
            if known is not None and bool((known.data == neutral).all()):
                if other.type == node.output.type:
                    return other
                return emit(ops.Expand(other, node.output.type.shape), "expanded")
        return None


class BroadcastLate(NodeRewrite):
    """Drop an ``Expand`` whose user broadcasts to the same shape without it."""

    name = "broadcast-late"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match operators that broadcast, and the mask of ``Attention``."""
        op = node.op
        if isinstance(op, ops.Attention):
            narrow = None if op.mask is None else _unexpanded(op.mask)
            if narrow is None:
                return None
            return _same(node, dataclasses.replace(op, mask=narrow), emit)
        if not isinstance(op, _BROADCASTING):
            return None
        for value in dict.fromkeys(op.operands()):
            narrow = _unexpanded(value)
            if narrow is None:
                continue
            swapped = {value: narrow}
            changed = op.map_operands(lambda one, swapped=swapped: swapped.get(one, one))  # type: ignore[misc]
            found = _same(node, changed, emit)
            if found is not None:
                return found
        return None


def _same(node: Node, op: Operator, emit: Emitter) -> Value | None:
    """The operator in the place of the node, if it gives the same type."""
    try:
        if op.infer() != node.output.type:
            return None
    except GraphError:
        return None
    return emit(op)


def _unexpanded(value: Value) -> Value | None:
    made = value.producer
    return made.op.x if made is not None and isinstance(made.op, ops.Expand) else None
