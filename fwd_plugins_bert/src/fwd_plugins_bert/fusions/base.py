"""A fusion: what it looks for, why it leaves something alone, and what it puts instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fwd_core.ir import Emitter, Graph, Node, Value
from fwd_core.rewrite.base import NodeRewrite, Refusal
from fwd_core.rewrite.cleanup.dead_code import RemoveDeadCode

Found = TypeVar("Found")


class Fusion(NodeRewrite, Generic[Found]):
    """Base of the pack's rewrites: :meth:`find` looks without changing, :meth:`replace` changes.

    Subclasses set ``name``.
    """

    def find(self, node: Node) -> Found | Refusal | None:
        """What is to be replaced if the node is the last of a pattern.

        ``None`` where nothing looks like it, and a :class:`Refusal` where something does that is
        not the same.
        """
        raise NotImplementedError

    def replace(self, found: Found, emit: Emitter) -> Value:
        """The value that takes the place of the node's output."""
        raise NotImplementedError

    def rewrite(self, node: Node, emit: Emitter) -> Value | Refusal | None:
        """Find, then replace."""
        found: Any = self.find(node)
        if found is None or isinstance(found, Refusal):
            return found
        return self.replace(found, emit)

    def apply(self, graph: Graph) -> int:
        """Try every node, then drop what nothing reads any more: it would still be a reader."""
        changed = 0
        for node in graph:
            for inner in node.op.graphs():
                changed += self.apply(inner)
            found: Any = self.find(node)
            if found is None or isinstance(found, Refusal):
                continue
            emit = Emitter.before(node)  # not for every node: most are nothing
            graph.replace_node(node, self.replace(found, emit), renamed=emit.added)
            changed += 1
        if changed:
            RemoveDeadCode().apply(graph)
        return changed


@dataclass(frozen=True)
class Refused:
    """A place that a fusion left as it is.

    Attributes:
        fusion: Name of the fusion.
        node: Name of the last node of what it found.
        reason: Why it is not what the fused operator computes.
    """

    fusion: str
    node: str
    reason: str

    def __str__(self) -> str:
        return f"{self.fusion} {self.node}: {self.reason}"


def refusals(graph: Graph, fusions: Iterable[Fusion[Any]]) -> list[Refused]:
    """Where fusions leave a graph alone, and why. The graph is not changed."""
    chosen = list(fusions)
    return [
        Refused(fusion.name, node.name, found.reason)
        for node in graph.walk()
        for fusion in chosen
        if isinstance(found := fusion.find(node), Refusal)
    ]
