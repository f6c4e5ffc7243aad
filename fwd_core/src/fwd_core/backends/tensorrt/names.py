"""Names of inputs and outputs inside TensorRT."""

from __future__ import annotations

from fwd_core.ir.graph import Graph


def binding_names(graph: Graph) -> tuple[list[str], list[str]]:
    """Names inside TensorRT: those of the graph, but no output is called as an input is."""
    inputs = [value.name for value in graph.inputs]
    taken = {*inputs, *graph.output_names}
    outputs = []
    for wanted in graph.output_names:
        name, ordinal = wanted, 0
        while name in (taken if name != wanted else inputs):
            ordinal += 1
            name = f"{wanted}_{ordinal}"
        taken.add(name)
        outputs.append(name)
    return inputs, outputs
