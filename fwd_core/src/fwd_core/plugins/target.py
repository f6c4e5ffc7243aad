"""What a graph is compiled for, as a pack is told that decides by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fwd_core.plugins.registers import lowering_key

if TYPE_CHECKING:
    from fwd_core.backends.base import Backend, Mode, Options
    from fwd_core.ir.operator import Operator
    from fwd_core.plugins.manager import Plugins


@dataclass(frozen=True)
class Target:
    """A backend with its options, and the mode of an engine.

    Attributes:
        backend: What compiles the graph.
        mode: Numeric mode of the engine.
        options: The backend's own options.
        plugins: Packs in use.
    """

    backend: Backend
    mode: Mode
    options: Options
    plugins: Plugins

    def lowers(self, operator: type[Operator]) -> bool:
        """Whether a pack has a lowering of the operator to the backend.

        The lowering may still refuse single nodes, which are decomposed then.
        """
        return lowering_key(self.backend.name, operator) in self.plugins.lowerings


#: Whether a rewrite is of use for a target.
Condition = Callable[[Target], bool]
