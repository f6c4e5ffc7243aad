"""Which matrix products are those of attention that is written out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fwd_core.ir import ops
from fwd_core.ir.graph import Node, Value
from fwd_core.quantize import rules

#: Operators between a product and its softmax: scale, mask and a few changes of shape.
_FARTHEST = 8


def is_attention(node: Node) -> bool:
    """Whether a ``MatMul`` of two tensors makes scores for a softmax, or reads what one made.

    Products of scores lose most in eight bits, and backends have kernels for all of attention at
    once, which pairs inside would part.
    """
    op = node.op
    if not isinstance(op, ops.MatMul):
        return False
    if op.a.constant is not None or op.b.constant is not None:
        return False
    made = _reaches(op.operands(), _producers, _from)
    return made or _reaches([node.output], _users, _to)


def _producers(value: Value) -> list[Node]:
    return [] if value.producer is None else [value.producer]


def _users(value: Value) -> list[Node]:
    return list(value.users)


def _from(node: Node) -> Iterable[Value]:
    return node.op.operands()


def _to(node: Node) -> Iterable[Value]:
    return node.outputs


def _reaches(
    start: Iterable[Value],
    nodes: Callable[[Value], list[Node]],
    values: Callable[[Node], Iterable[Value]],
) -> bool:
    """Whether a softmax is near, over nothing but what stands around one."""
    front, seen = list(start), set()
    for _ in range(_FARTHEST):
        found = [node for value in front for node in nodes(value) if node not in seen]
        if any(isinstance(node.op, ops.Softmax) for node in found):
            return True
        seen.update(found)
        near = [node for node in found if isinstance(node.op, rules.AROUND_SOFTMAX)]
        front = [value for node in near for value in values(node)]
    return False
