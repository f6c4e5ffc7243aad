"""The rules of a well-formed graph."""

from __future__ import annotations

from fwd_core.errors import ForwardError, GraphError
from fwd_core.ir.dims import Symbol
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.ops.creation import Constant


def verify(graph: Graph) -> None:
    """Check a graph.

    Rules: operands are computed before they are read; types are what ``infer()`` says; users
    are counted right; names are unique and known; constants are stored; one name means one
    symbol; outputs belong to the graph and have one name each. Graphs inside operators are
    checked too.

    Raises:
        GraphError: A rule is broken.
    """
    known: dict[str, Symbol] = {}
    uses: dict[Value, dict[Node, int]] = {value: {} for value in graph.inputs}
    for node in graph:
        for operand in node.op.operands():
            if (counted := uses.get(operand)) is None:
                raise GraphError(f"{node} reads {operand} before it is computed")
            counted[node] = counted.get(node, 0) + 1
        _check_node(graph, node)
        for inner in node.op.graphs():
            verify(inner)
        for value in node.outputs:
            if value.producer is not node:
                raise GraphError(f"{value} is an output of {node}, but says {value.producer}")
            uses[value] = {}
    for value, counted in uses.items():
        if value.graph is not graph or graph.find(value.name) is not value:
            raise GraphError(f"{value} is not known by its name in graph {graph.name!r}")
        if value.users != counted:
            raise GraphError(f"the users of {value} are counted wrong")
        for symbol in value.type.symbols:
            if known.setdefault(symbol.name, symbol) != symbol:
                raise GraphError(
                    f"dim {symbol.name!r} has two ranges: {known[symbol.name]}, {symbol}"
                )
    if len(graph.outputs) != len(graph.output_names):
        raise GraphError(f"{len(graph.outputs)} outputs but {len(graph.output_names)} names")
    for value in graph.outputs:
        if value not in uses:
            raise GraphError(f"output {value} is not computed in graph {graph.name!r}")


def _check_node(graph: Graph, node: Node) -> None:
    try:
        types = node.op.infer()
    except ForwardError as error:
        raise error.located(f"{node} {node.location}") from None
    expected = types if isinstance(types, tuple) else (types,)
    found = tuple(value.type for value in node.outputs)
    if found != expected:
        raise GraphError(f"{node} has outputs {found}, its operator says {expected}")
    if isinstance(node.op, Constant):
        held = graph.constants.get(node.op.digest)
        if held is None:
            raise GraphError(f"{node} names a constant that the graph does not hold")
        if held.type != node.op.type:
            raise GraphError(f"{node} says {node.op.type}, but its constant is {held.type}")
