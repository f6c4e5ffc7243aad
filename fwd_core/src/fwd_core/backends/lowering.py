"""Walking a graph through a backend's lowerings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from fwd_core.errors import BuildError, ForwardError, Problem
from fwd_core.events import Events
from fwd_core.ir.dim_facts import shortfall
from fwd_core.ir.dim_hints import raise_least
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.plugins.markers import lowering_mark
from fwd_core.plugins.registers import Lowering, lowering_key

T = TypeVar("T")
#: Places that are listed for one kind of problem.
MOST_PLACES = 5


class LoweringContext(Generic[T]):
    """What a lowering is handed: backend tensors by graph value, and the node under way.

    Backends subclass it and add what their lowerings need.

    Attributes:
        node: The node being lowered.
        lowerings: All lowerings, for operators that hold graphs. Set by :func:`lower`.
    """

    def __init__(self, backend: str, graph: Graph) -> None:
        self.backend = backend
        self.graph = graph
        self.node: Node | None = None
        self.lowerings: Mapping[str, Lowering] = {}
        self._tensors: dict[Value, T] = {}

    def __getitem__(self, value: Value) -> T:
        """The backend's tensor of an operand."""
        return self._tensors[value]

    def __setitem__(self, value: Value, tensor: T) -> None:
        self._tensors[value] = tensor

    def error(self, what: str, **parts: Any) -> BuildError:
        """A :class:`BuildError` that names the node under way and the user's line."""
        return BuildError(what, where=self.place(), **parts)

    def place(self) -> str | None:
        """The name and location of the node under way."""
        return None if self.node is None else f"{self.node.name} {self.node.location}".strip()


def legalize(context: LoweringContext[Any], lowerings: Mapping[str, Lowering]) -> None:
    """Decompose operators that the backend has no lowering for, until all have one.

    A lowering may refuse a node by its ``unless``; then too the decomposition is tried.

    Raises:
        BuildError: Operators have neither; all are listed, with counts, reasons and the user's
            lines.
    """
    problems = unlowered(context, lowerings)
    if not problems:
        return
    lines: list[str] = []
    for problem in problems:
        lines.append(f"{problem.operator} ({problem.count}x): {problem.reason}")
        lines += [f"  at {place}" for place in problem.places[:MOST_PLACES]]
        if len(problem.places) > MOST_PLACES:
            lines.append(f"  and at {len(problem.places) - MOST_PLACES} more places")
    count = sum(problem.count for problem in problems)
    raise BuildError(
        f"{count} operators cannot be lowered to {context.backend}",
        details=lines,
        hint="another backend may take them, or a pack may add a lowering",
    )


def unlowered(context: LoweringContext[Any], lowerings: Mapping[str, Lowering]) -> list[Problem]:
    """Like :func:`legalize`, but the operators that cannot be lowered are returned."""
    found: dict[tuple[str, str], list[Node]] = {}
    _legalize(context, context.graph, lowerings, found)
    problems: list[Problem] = []
    for (kind, reason), nodes in found.items():
        types = ", ".join(str(value.type) for value in nodes[0].op.operands())
        places = dict.fromkeys(str(node.location) for node in nodes if str(node.location))
        problems.append(
            Problem(kind, f"{reason} (of {types or 'nothing'})", len(nodes), tuple(places))
        )
    return problems


def _legalize(
    context: LoweringContext[Any],
    graph: Graph,
    lowerings: Mapping[str, Lowering],
    problems: dict[tuple[str, str], list[Node]],
) -> None:
    pending = list(graph)[::-1]
    while pending:
        node = pending.pop()
        for inner in node.op.graphs():
            _legalize(context, inner, lowerings, problems)
        function = lowerings.get(lowering_key(context.backend, type(node.op)))
        reason = "no lowering" if function is None else _refusal(function, context, node)
        if reason is None:
            continue
        emit = Emitter.before(node)
        simpler = node.op.decompose(emit)
        if simpler is None:
            problems.setdefault((node.op.kind(), reason), []).append(node)
            continue
        graph.replace_node(node, simpler)
        pending += reversed(emit.added)


def lower(context: LoweringContext[T], lowerings: Mapping[str, Lowering], events: Events) -> None:
    """Lower every node in order; the context then holds a tensor for every value.

    Raises:
        BuildError: A lowering failed; the message names the node and the user's line.
    """
    context.lowerings = lowerings
    with events.phase("lower", total=len(context.graph)) as phase:
        lower_nodes(context, context.graph, lambda node: phase.step(node.name))
    context.node = None


def lower_nodes(
    context: LoweringContext[T], graph: Graph, done: Callable[[Node], None] = lambda _node: None
) -> None:
    """Lower the nodes of a graph, or of one inside it, after its inputs.

    Args:
        context: Has tensors of the graph's inputs, and gets those of all its values.
        graph: The graph.
        done: Called with each node.

    Raises:
        BuildError: A lowering failed; the message names the node and the user's line.
    """
    around = context.node
    for node in graph:
        context.node = node
        function = context.lowerings[lowering_key(context.backend, type(node.op))]
        try:
            result = function(context, node.op)
        except ForwardError as error:
            raise error.located(context.place()) from None
        except Exception as error:  # a backend's binding may raise anything
            raise context.error(
                f"{context.backend} refused {node.op.kind()}",
                details=[str(error)],
                hint=_size_hint(node),
            ) from error
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(node.outputs):
            raise context.error(
                f"the lowering of {node.op.kind()} to {context.backend} is wrong",
                expected=f"{len(node.outputs)} tensors",
                got=len(results),
            )
        for value, tensor in zip(node.outputs, results, strict=True):
            context[value] = tensor
        done(node)
    context.node = around


def _size_hint(node: Node) -> str | None:
    """What to do where a size of a node's results may be negative."""
    sizes = [dim for value in node.outputs for dim in value.type.shape]
    return next((raise_least(at) for dim in sizes if (at := shortfall(dim))), None)


def _refusal(function: Lowering, context: LoweringContext[Any], node: Node) -> str | None:
    mark = lowering_mark(function)
    if mark is None or mark.unless is None:
        return None
    return mark.unless(context, node.op)
