"""Adding operators at one place of a graph, with names and locations that follow from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import GraphError
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.location import Location
from fwd_core.ir.operator import Operator
from fwd_core.ir.tensor import Tensor


class Emitter:
    """Adds nodes before ``at`` (or at the end) and names them after ``base``.

    Converters, rewrites and ``decompose`` all add nodes through one of these, so every new
    node knows where in the user's model it comes from.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        base: str,
        location: Location | None = None,
        at: Node | None = None,
    ) -> None:
        self.graph = graph
        self.base = base
        self.location = location if location is not None else Location()
        self.at = at
        #: Nodes added so far.
        self.added: list[Node] = []

    @classmethod
    def before(cls, node: Node) -> Emitter:
        """An emitter that adds before a node and speaks in its name.

        Raises:
            GraphError: The node has been removed.
        """
        if node.graph is None:
            raise GraphError(f"{node} has been removed from its graph")
        return cls(node.graph, base=node.name, location=node.location, at=node)

    def __call__(self, op: Operator, name: str = "") -> Value:
        """Add an operator with one output, called ``<base>/<name>``.

        Args:
            op: The operator.
            name: Last part of the name; by default the operator's class name in lower case.
        """
        return self._record(
            (self.graph.add(op, name=self._name(op, name), location=self.location, before=self.at),)
        )[0]

    def all(self, op: Operator, name: str = "") -> tuple[Value, ...]:
        """Add an operator with several outputs."""
        return self._record(
            self.graph.add_all(
                op, name=self._name(op, name), location=self.location, before=self.at
            )
        )

    def constant(self, data: Tensor | NDArray[np.generic], name: str = "constant") -> Value:
        """Add a constant called ``<base>/<name>``."""
        return self._record(
            (
                self.graph.constant(
                    data, name=f"{self.base}/{name}", location=self.location, before=self.at
                ),
            )
        )[0]

    def _record(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        if values and (node := values[0].producer) is not None:
            self.added.append(node)
        return values

    def _name(self, op: Operator, name: str) -> str:
        return f"{self.base}/{name or type(op).__name__.lower()}"
