"""Putting the operators of one graph into another."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Graph, Value
from fwd_core.ir.ops.creation import Constant


def inline(emit: Emitter, graph: Graph, inputs: Sequence[Value]) -> tuple[Value, ...]:
    """Add the operators of a graph at an emitter's place.

    They keep their names, as far as these are free, and their locations. Graphs inside them are
    shared with those of the copies: the source is not to be used afterwards.

    Args:
        emit: Where they go.
        graph: What is copied.
        inputs: What its inputs are bound to, in order.

    Returns:
        The values that are the graph's outputs there.
    """
    bound = dict(zip(graph.inputs, inputs, strict=True))
    target = emit.graph
    for node in graph:
        if isinstance(node.op, Constant):
            tensor = graph.constants[node.op.digest]
            added: tuple[Value, ...] = (
                target.constant(tensor, name=node.name, location=node.location, before=emit.at),
            )
        else:
            op = node.op.map_operands(bound.__getitem__)
            several = isinstance(node.op.infer(), tuple)
            name = node.name.rpartition(".")[0] if several else node.name
            added = target.add_all(op, name=name, location=node.location, before=emit.at)
        if added and (producer := added[0].producer) is not None:
            emit.added.append(producer)
        bound.update(zip(node.outputs, added, strict=True))
    return tuple(bound[value] for value in graph.outputs)
