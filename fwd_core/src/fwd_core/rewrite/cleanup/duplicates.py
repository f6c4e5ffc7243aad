"""Compute equal things once.

Constants with equal contents stay apart, because they are different parameters of the model that
happen to be equal; their contents are stored once anyway. What reads them is merged.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.ops.creation import Constant


class MergeDuplicates:
    """Make readers of equal nodes (same operator, operands and attributes) read the first one."""

    name = "merge-duplicates"

    def apply(self, graph: Graph) -> int:
        """Walk forward, so that merged operands make their readers equal in turn."""
        seen: dict[Hashable, Node] = {}
        changed = 0
        for node in graph:
            if isinstance(node.op, Constant):
                continue
            inner = list(node.op.graphs())
            if inner:
                changed += sum(self.apply(one) for one in inner)
                continue
            first = seen.setdefault(_key(node), node)
            if first is node:
                continue
            for old, new in zip(node.outputs, first.outputs, strict=True):
                graph.replace_uses(old, new, keep_name=False)
            graph.remove(node)
            changed += 1
        return changed


def _key(node: Node) -> Hashable:
    op = node.op
    operands: list[Any] = []
    for field in op.operand_fields():
        held = getattr(op, field.name)
        several = held if field.kind == "many" else (held,)
        operands.append(tuple(_identity(value) for value in several))
    # The type keeps 1, 1.0 and True apart, which Python calls equal.
    return (type(op), tuple(operands), _typed(tuple(op.attributes().values())))


def _identity(value: Value | None) -> Hashable:
    if value is not None and value.producer is not None:
        op = value.producer.op
        if isinstance(op, Constant):
            return (op.digest, op.type)
    return value


def _typed(value: Any) -> Hashable:
    if isinstance(value, tuple):
        return tuple((type(item), _typed(item)) for item in value)
    if isinstance(value, float):
        return repr(value)  # 0.0 and -0.0 are equal, but not the same number
    return value  # type: ignore[no-any-return]
