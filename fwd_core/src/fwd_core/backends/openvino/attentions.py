"""Graphs that OpenVINO's kernel generator does not survive.

OpenVINO 2026.4 ends the process (SIGSEGV) where it makes kernels of two attentions that meet in
arithmetic and that, or results of that, are read by several: ``a - b`` beside ``a`` and ``b``, or
``(b - a)**2`` beside ``a * a``. Of the cases that were tried not all crashed, and no rule was found
that parts them, but none did where each result has one reader.
"""

from __future__ import annotations

from collections.abc import Iterator

from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.ops import attention, elementwise, linear, normalization, shape, unary

_ARITHMETIC = (
    *(elementwise.NumberBinary, elementwise.Comparison, elementwise.Where, elementwise.Cast),
    *(unary.NumberUnary, unary.FloatUnary),
)
#: What may stand between a softmax and the product that it weighs.
_BETWEEN = (elementwise.Cast, elementwise.Where, elementwise.Mul, shape.Reshape, shape.Expand)
_FARTHEST = 4


def attentions_meet(graph: Graph) -> bool:
    """Whether arithmetic reads two attentions, and something on the way is read by several."""
    found = [node for node in graph if _is_attention(node)]
    after = [dict.fromkeys(_arithmetic_on(node.output)) for node in found]
    for number, (node, near) in enumerate(zip(found, after, strict=True)):
        for other, others in zip(found[:number], after, strict=False):
            if near.keys() & others.keys():
                made = (node, other, *near, *others)
                if any(_is_shared(value) for one in made for value in one.outputs):
                    return True
    return False


def _is_attention(node: Node) -> bool:
    """One operator, or a product of what a softmax gives."""
    if isinstance(node.op, attention.Attention):
        return True
    front = [node.op.a] if isinstance(node.op, linear.MatMul) else []
    for _ in range(_FARTHEST):
        made = [value.producer for value in front if value.producer is not None]
        if any(isinstance(one.op, normalization.Softmax) for one in made):
            return True
        front = [x for one in made if isinstance(one.op, _BETWEEN) for x in one.op.operands()]
    return False


def _is_shared(value: Value) -> bool:
    return sum(value.users.values()) + (value in value.graph.outputs) > 1


def _arithmetic_on(value: Value) -> Iterator[Node]:
    """Arithmetic that reads a value, or what arithmetic made of it."""
    front, seen = [value], set()
    while front:
        for reader in front.pop().users:
            if isinstance(reader.op, _ARITHMETIC) and reader not in seen:
                seen.add(reader)
                yield reader
                front.extend(reader.outputs)
