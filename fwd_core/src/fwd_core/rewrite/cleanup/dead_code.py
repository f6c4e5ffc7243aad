"""Remove what no output depends on."""

from __future__ import annotations

from fwd_core.ir.graph import Graph


class RemoveDeadCode:
    """Remove nodes whose outputs nothing reads. Operators have no side effects."""

    name = "remove-dead-code"

    def apply(self, graph: Graph) -> int:
        """Walk backwards, so that a removed reader frees what it read."""
        outputs = set(graph.outputs)
        removed = 0
        for node in reversed(graph):
            for inner in node.op.graphs():
                removed += self.apply(inner)
            if not any(value.users or value in outputs for value in node.outputs):
                graph.remove(node)
                removed += 1
        return removed
