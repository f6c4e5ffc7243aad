"""Graphs as text: what ``print(graph)`` shows and golden tests compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.ops.creation import Constant
from fwd_core.ir.types import TensorType

_SMALL = 8


def text(graph: Graph, *, names: bool = True, locations: bool = False) -> str:
    """The graph as text.

    Args:
        graph: What to print.
        names: With ``False`` values are numbered instead, so that graphs that differ only in
            names print equal. Constants print by their contents in both forms.
        locations: Add each node's place in the user's model as a comment.
    """
    numbers = {value: str(i) for i, value in enumerate(graph.values())}

    def label(value: Value) -> str:
        return f"%{value.name if names else numbers[value]}"

    inputs = ", ".join(f"{label(value)}: {value.type}" for value in graph.inputs)
    lines = [f"graph {graph.name}({inputs}) {{"]
    for node in graph:
        line = f"  {_node_text(graph, node, label)}"
        if locations and (place := str(node.location)):
            line += f"  # {place}"
        lines.append(line)
        for inner in node.op.graphs():
            nested = text(inner, names=names, locations=locations)
            lines += [f"    {row}" for row in nested.splitlines()]
    pairs = zip(graph.output_names, graph.outputs, strict=True)
    returned = ", ".join(f"{name}={label(value)}" for name, value in pairs)
    return "\n".join([*lines, f"  return {returned}", "}"])


def _node_text(graph: Graph, node: Node, label: Callable[[Value], str]) -> str:
    results = ", ".join(label(value) for value in node.outputs)
    types = ", ".join(str(value.type) for value in node.outputs)
    op = node.op
    if isinstance(op, Constant):
        tensor = graph.constants[op.digest]
        small = tensor.data.size <= _SMALL
        return f"{results} = {tensor.numpy().tolist() if small else '#' + op.digest[:12]} : {types}"
    parts: list[str] = []
    for field in op.operand_fields():
        held = getattr(op, field.name)
        if field.kind == "many":
            parts.append(f"[{', '.join(label(value) for value in held)}]")
        elif field.kind == "one":
            parts.append(label(held))
        elif held is not None:
            parts.append(f"{field.name}={label(held)}")
    parts += [f"{key}={_attribute(held)}" for key, held in op.attributes().items()]
    name = type(op).__name__ if op.namespace == "fwd" else op.kind()
    return f"{results} = {name}({', '.join(parts)}) : {types}"


def _attribute(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_attribute(item) for item in value)}]"
    if isinstance(value, Graph):
        return value.name
    if isinstance(value, (str, TensorType)):
        return str(value)
    return repr(value)
