"""A graph cut into pieces that run one after the other, so that few tensors are there at once.

To look at every tensor of a model, all would have to be outputs, and at once in memory. Cut into
pieces, only those of one piece are, beside the tensors that later pieces read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fwd_core.ir import ops
from fwd_core.ir.dims import evaluate
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.types import TensorType


@dataclass
class Segment:
    """A piece of a graph.

    Attributes:
        graph: The piece; its inputs and outputs are named as the tensors of the whole are.
        watched: Names of outputs that are looked at.
        done: Names of tensors that no later piece reads.
    """

    graph: Graph
    watched: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> list[str]:
        """Names of what it reads."""
        return [value.name for value in self.graph.inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of what it gives."""
        return list(self.graph.output_names)


def cut(
    graph: Graph, watched: Iterable[str], symbols: Mapping[str, int], budget: int
) -> list[Segment]:
    """Cut a graph so that what is looked at in each piece fits into a budget.

    Args:
        graph: Left as it is; pieces share its constants and the graphs inside its nodes.
        watched: Names of the tensors to look at, graph inputs left out.
        symbols: Values of the dynamic sizes, by name.
        budget: Bytes of watched tensors in a piece; one that is larger has a piece of its own.

    Returns:
        Pieces in order, without what no watched tensor needs.
    """
    wanted = set(watched)
    needed = _needed(graph, wanted)
    pieces: list[list[Node]] = [[]]
    held = 0
    for node in graph:
        if node not in needed or isinstance(node.op, ops.Constant):
            continue
        size = sum(nbytes(value.type, symbols) for value in node.outputs if value.name in wanted)
        if held and size and held + size > budget:
            pieces.append([])
            held = 0
        held += size
        pieces[-1].append(node)
    return [
        _piece(graph, nodes, later, wanted)
        for nodes, later in zip(pieces, _laters(pieces), strict=True)
        if nodes
    ]


def nbytes(kind: TensorType, symbols: Mapping[str, int]) -> int:
    """Bytes of a tensor for values of the dynamic sizes."""
    count = 1
    for dim in kind.shape:
        count *= max(0, evaluate(dim, symbols))
    return count * kind.dtype.itemsize


def _needed(graph: Graph, wanted: set[str]) -> set[Node]:
    needed: set[Node] = set()
    for node in reversed(graph):
        if node in needed or any(value.name in wanted for value in node.outputs):
            needed.add(node)
            needed.update(v.producer for v in node.op.operands() if v.producer is not None)
    return needed


def _laters(pieces: Sequence[Sequence[Node]]) -> list[set[Value]]:
    """For each piece, what the pieces after it read."""
    found: list[set[Value]] = []
    read: set[Value] = set()
    for nodes in reversed(pieces):
        found.append(set(read))
        read.update(value for node in nodes for value in node.op.operands())
    return found[::-1]


def _piece(whole: Graph, nodes: Sequence[Node], later: set[Value], wanted: set[str]) -> Segment:
    graph = Graph(whole.name)
    inside: dict[Value, Value] = {}
    made = {value for node in nodes for value in node.outputs}

    def taken(value: Value) -> Value:
        if value not in inside:
            constant = value.constant
            inside[value] = (
                graph.add_input(value.name, value.type)
                if constant is None
                else graph.constant(constant, name=value.name)
            )
        return inside[value]

    read = dict.fromkeys(value for node in nodes for value in node.op.operands())
    for value in [*read, *_sizes(whole, nodes)]:
        if value not in made:
            taken(value)
    for node in nodes:
        names = [value.name for value in node.outputs]
        made_here = graph.add_named(node.op.map_operands(taken), names, location=node.location)
        inside.update(zip(node.outputs, made_here, strict=True))
    outputs = [value for value in made if value in later or value.name in wanted]
    outputs.sort(key=lambda value: value.name)
    graph.set_outputs([inside[value] for value in outputs], [value.name for value in outputs])
    gone = [v.name for v in read if v.constant is None and v not in later and v not in made]
    gone += [value.name for value in outputs if value not in later]
    return Segment(graph.verify(), [v.name for v in outputs if v.name in wanted], gone)


def _sizes(whole: Graph, nodes: Sequence[Node]) -> list[Value]:
    """Inputs of the whole graph that tell the dynamic sizes in a piece."""
    used = {
        symbol
        for node in nodes
        for value in (*node.op.operands(), *node.outputs)
        for symbol in value.type.symbols
    }
    return [value for value in whole.inputs if used & set(value.type.symbols)]
