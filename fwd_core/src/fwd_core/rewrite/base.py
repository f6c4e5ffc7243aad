"""What a rewrite is, and how stages of them run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fwd_core.errors import GraphError
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Graph, Node, Value

#: Rounds of one stage after which rewrites that undo one another are called a bug.
MAX_ROUNDS = 20


@runtime_checkable
class Rewrite(Protocol):
    """Changes a graph in place and keeps what it computes.

    Attributes:
        name: Unique, for example ``fold-batch-norm``.
    """

    name: str

    def apply(self, graph: Graph) -> int:
        """Change the graph and return how many places were changed."""
        ...


@dataclass(frozen=True)
class Refusal:
    """Why a pattern that was found is left as it is."""

    reason: str


class NodeRewrite:
    """Base of rewrites that look at one node (and what feeds it) at a time.

    Subclasses set ``name`` and implement :meth:`rewrite`.
    """

    name: str

    def rewrite(self, node: Node, emit: Emitter) -> Value | Sequence[Value] | Refusal | None:
        """Replacement values for the node's outputs, or ``None`` if the node does not match.

        A :class:`Refusal` says why a node that looks right is left alone.
        """
        raise NotImplementedError

    def apply(self, graph: Graph) -> int:
        """Try every node once, in order.

        A new value takes over the name of the one that it replaces; one that was there before
        keeps its own.
        """
        changed = 0
        for node in graph:
            for inner in node.op.graphs():
                changed += self.apply(inner)
            emit = Emitter.before(node)
            found = self.rewrite(node, emit)
            if found is None or isinstance(found, Refusal):
                continue
            graph.replace_node(node, found, renamed=emit.added)
            changed += 1
        return changed


def run(graph: Graph, rewrites: Iterable[Rewrite], *, verify: bool = False) -> dict[str, int]:
    """Run rewrites in order, again and again, until none changes anything.

    Args:
        graph: Changed in place.
        rewrites: In order.
        verify: Check the graph after each rewrite that changed it (tests do).

    Returns:
        How many places each rewrite changed.

    Raises:
        GraphError: The rewrites do not come to an end; the message names those that still change.
    """
    ordered = list(rewrites)
    counts = {rewrite.name: 0 for rewrite in ordered}
    active: list[str] = []
    for _ in range(MAX_ROUNDS):
        active = []
        for rewrite in ordered:
            if changed := rewrite.apply(graph):
                counts[rewrite.name] += changed
                active.append(rewrite.name)
                if verify:
                    graph.verify()
        if not active:
            graph.collect_constants()
            return counts
    raise GraphError(
        f"rewrites did not come to an end after {MAX_ROUNDS} rounds",
        got=", ".join(active),
        hint="this is a bug in one of these rewrites: they undo one another",
    )
