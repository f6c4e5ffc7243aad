"""Options of builds that packs add: what a user asks of a model, whatever the backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from fwd_core.ir.graph import Graph


class BuildOption(ABC):
    """One option, which changes the graph after quantization and before fusions.

    Attributes:
        name: As users give it: ``forward.build(..., name=value)``, ``--option name=value``.
        summary: One line for lists of options.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def parse(self, value: Any) -> Any:
        """The value as :meth:`apply` takes it; text where it comes from a command line.

        Raises:
            OptionError: It is none.
        """

    @abstractmethod
    def apply(self, graph: Graph, value: Any) -> None:
        """Change the graph.

        Args:
            graph: After clean-up, with ``Quantize`` and ``Dequantize`` in mode ``int8``.
            value: What :meth:`parse` gave.

        Raises:
            OptionError: The option has no meaning for this graph; the message says why.
        """
