"""Running one rewrite and saying what it did."""

from __future__ import annotations

from fwd_core.ir import Graph, Value
from fwd_core.rewrite import Rewrite


def finish(graph: Graph, *outputs: Value) -> Graph:
    """The graph with these outputs, well-formed."""
    graph.set_outputs(outputs, [f"y{i}" for i in range(len(outputs))])
    return graph.verify()


def apply(rewrite: Rewrite, graph: Graph) -> tuple[int, list[str]]:
    """How often it changed something, and the operators left by name; the graph is checked."""
    types = [(value.name, value.type) for value in graph.inputs]
    outputs = [value.type for value in graph.outputs]
    changed = rewrite.apply(graph)
    graph.verify()
    assert [(value.name, value.type) for value in graph.inputs] == types
    assert [value.type for value in graph.outputs] == outputs
    return changed, [f"{type(node.op).__name__} {node.name}" for node in graph]
