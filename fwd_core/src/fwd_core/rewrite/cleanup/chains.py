"""Merge operators that only move elements with those that feed them."""

from __future__ import annotations

from fwd_core.ir import is_equal, ops
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Node, Value
from fwd_core.ir.operator import Operator
from fwd_core.rewrite.base import NodeRewrite

_RESHAPES = (ops.Reshape, ops.Squeeze, ops.Unsqueeze)


class MergeReshapes(NodeRewrite):
    """A reshape of a reshape, squeeze or unsqueeze is one reshape of what came before."""

    name = "merge-reshapes"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match ``Reshape(Reshape | Squeeze | Unsqueeze(x))``."""
        if not isinstance(node.op, ops.Reshape):
            return None
        inner = _producer(node.op.x)
        if not isinstance(inner, _RESHAPES):
            return None
        # Both steps keep the count, but that both together do may be beyond proof.
        if is_equal(inner.x.type.numel, node.output.type.numel) is not True:
            return None
        return emit(ops.Reshape(inner.x, node.op.shape))


class MergeTransposes(NodeRewrite):
    """A transpose of a transpose is one transpose."""

    name = "merge-transposes"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match ``Transpose(Transpose(x))``."""
        if not isinstance(node.op, ops.Transpose):
            return None
        inner = _producer(node.op.x)
        if not isinstance(inner, ops.Transpose):
            return None
        return emit(ops.Transpose(inner.x, tuple(inner.order[axis] for axis in node.op.order)))


def _producer(value: Value) -> Operator | None:
    return None if value.producer is None else value.producer.op
