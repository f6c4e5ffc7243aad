"""Which packs an engine is made by, as its manifest tells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fwd_core.ir.graph import Graph
from fwd_core.plugins import Plugins
from fwd_core.plugins.registers import lowering_key

if TYPE_CHECKING:
    from fwd_core.backends.base import Backend


def used_packs(
    graph: Graph, backend: Backend, options: Iterable[str], plugins: Plugins
) -> list[str]:
    """Names of the packs of a backend, of lowerings, of options that packs add, of made inputs.

    Args:
        graph: As it was lowered.
        backend: What lowered it.
        options: Names of the options of packs that were asked for.
        plugins: Packs in use.
    """
    used = {plugins.backends.owner(backend.name)}
    for node in graph.walk():
        key = lowering_key(backend.name, type(node.op))
        if key in plugins.lowerings:
            used.add(plugins.lowerings.owner(key))
    used |= {plugins.build_options.owner(name) for name in options}
    used |= {plugins.input_makers.owner(one.maker) for one in graph.derived}
    return sorted(used)
