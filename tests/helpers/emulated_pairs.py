"""A placed graph in float32, where backends find no pair to make integers of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Graph, Node, Value, ops

Numbers = NDArray[np.float32]


def emulated(graph: Graph) -> Graph:
    """Round and cut with operators of floats what pairs round and cut; the graph is changed."""
    for node in list(graph):
        if not isinstance(node.op, ops.Dequantize):
            continue
        if (held := node.op.x.constant) is not None:  # weights that are integers already
            scale, zero = _along(node.op.scale, node.op), _along(node.op.zero_point, node.op)
            whole = graph.constant(((held.numpy() - zero) * scale).astype(np.float32), before=node)
            graph.replace_node(node, whole)
            continue
        made = node.op.x.producer
        assert made is not None
        assert isinstance(made.op, ops.Quantize), "pairs stand together"
        graph.replace_node(node, _rounded(graph, node, made.op))
        if not made.output.users:
            graph.remove(made)
    return graph.verify()


def _rounded(graph: Graph, before: Node, op: ops.Quantize) -> Value:
    scale, zero = _along(op.scale, op), _along(op.zero_point, op)
    if (constant := op.x.constant) is not None:  # so that weights stay constants
        steps = np.clip(np.rint(constant.numpy() / scale) + zero, op.low, op.high)
        return graph.constant(((steps - zero) * scale).astype(np.float32), before=before)

    def add(one: Any) -> Value:
        return graph.add(one, before=before)

    scales, zeros = (graph.constant(one, before=before) for one in (scale, zero))
    moved = add(ops.Add(add(ops.Round(add(ops.Div(op.x, scales)))), zeros))
    held = add(ops.Clamp(moved, float(op.low), float(op.high)))
    return add(ops.Mul(add(ops.Sub(held, zeros)), scales))


def _along(number: Value | None, op: ops.Quantize | ops.Dequantize) -> Numbers:
    """Scales or zero points as floats, of a shape that broadcasts over the tensor."""
    if number is None:
        return np.zeros((), np.float32)
    assert number.constant is not None, "a pair's numbers are constants"
    data = number.constant.numpy().astype(np.float32)
    if op.axis is None:
        return data
    return data.reshape([-1 if axis == op.axis else 1 for axis in range(op.x.type.rank)])
