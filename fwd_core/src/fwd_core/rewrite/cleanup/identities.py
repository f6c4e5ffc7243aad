"""Remove operators that return their operand unchanged."""

from __future__ import annotations

from fwd_core.ir import ops
from fwd_core.ir.graph import Graph, Node, Value


class RemoveIdentities:
    """Remove casts to the same dtype, reshapes to the same shape, and their like.

    A choice between equals is none either; TensorRT 8 computes garbage of such a choice between
    two numbers, or fails.

    The operand keeps its own name: names follow the source model, and a removed node had no
    tensor of its own.
    """

    name = "remove-identities"

    def apply(self, graph: Graph) -> int:
        """Look at each node once."""
        changed = 0
        for node in graph:
            for inner in node.op.graphs():
                changed += self.apply(inner)
            source = _unchanged(node)
            if source is not None:
                graph.replace_uses(node.output, source, keep_name=False)
                graph.remove(node)
                changed += 1
            elif isinstance(node.op, ops.Where) and _same(node.op.a, node.op.b):
                graph.change_operator(node, ops.Expand(node.op.a, node.output.type.shape))
                changed += 1
        return changed


def _unchanged(node: Node) -> Value | None:
    op = node.op
    if isinstance(op, (ops.Cast, ops.Reshape, ops.Expand)):
        return op.x if op.x.type == node.output.type else None
    if isinstance(op, ops.Transpose):
        return op.x if op.order == tuple(range(len(op.order))) else None
    if isinstance(op, (ops.Unsqueeze, ops.Squeeze)):
        return op.x if not op.axes else None
    if isinstance(op, ops.Slice):
        whole = op.start == 0 and op.step == 1 and op.x.type == node.output.type
        return op.x if whole else None
    if isinstance(op, ops.Pad):
        return op.x if not any(dim != 0 for dim in (*op.before, *op.after)) else None
    if isinstance(op, ops.Concat):
        return op.values[0] if len(op.values) == 1 else None
    if isinstance(op, ops.Where) and _same(op.a, op.b):
        return op.a if op.a.type == node.output.type else None
    return None


def _same(a: Value, b: Value) -> bool:
    """Whether two values are one, or hold the same."""
    if a is b:
        return True
    one, other = a.constant, b.constant
    return one is not None and other is not None and one.digest == other.digest
