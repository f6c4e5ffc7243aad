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
    symbol; outputs belong to the graph. Graphs inside operators are checked too.

    Raises:
        GraphError: A rule is broken.
    """
    seen: set[Value] = set(graph.inputs)
    known: dict[str, Symbol] = {}
    uses: dict[Value, dict[Node, int]] = {value: {} for value in graph.inputs}
    for node in graph:
        for operand in node.op.operands():
            if operand not in seen:
                raise GraphError(f"{node} reads {operand} before it is computed")
            counted = uses[operand]
            counted[node] = counted.get(node, 0) + 1
        _check_node(graph, node)
        for inner in node.op.graphs():
            verify(inner)
        for value in node.outputs:
            seen.add(value)
            uses[value] = {}
    for value in seen:
        if graph.value(value.name) is not value:
            raise GraphError(f"{value} is not known by its name in graph {graph.name!r}")
        if value.users != uses[value]:
            raise GraphError(f"the users of {value} are counted wrong")
        for symbol in value.type.symbols:
            if known.setdefault(symbol.name, symbol) != symbol:
                raise GraphError(f"dim {symbol.name!r} has two ranges: {known[symbol.name]}, {symbol}")
    for value in graph.outputs:
        if value not in seen:
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
    if isinstance(node.op, Constant) and node.op.digest not in graph.constants:
        raise GraphError(f"{node} names a constant that the graph does not hold")
