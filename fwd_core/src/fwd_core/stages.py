"""Rewrites by the stage of a build that they belong to, run on a graph in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core import rewrite
from fwd_core.errors import PluginError
from fwd_core.ir.graph import Graph
from fwd_core.plugins import Plugins
from fwd_core.plugins.target import Target

if TYPE_CHECKING:
    from fwd_core.events import Events
    from fwd_core.plugins.registers import StagedRewrite
    from fwd_core.rewrite import Rewrite


def clean_up(graph: Graph, plugins: Plugins) -> None:
    """What every graph goes through after import, and after whatever changes it."""
    rewrite.run(graph, _of("clean-up", plugins))


def prepare(graph: Graph, target: Target, events: Events) -> None:
    """What packs fuse for a target, and its precision.

    Raises:
        PluginError: The condition of a pack's rewrite fails.
    """
    with events.phase("rewrite", detail="fusion"):
        rewrite.run(graph, _of("fusion", target.plugins, target))
        clean_up(graph, target.plugins)
    if target.mode in ("float16", "int8") and target.backend.precision == "typed":
        from fwd_core.rewrite.precision import to_half

        with events.phase("rewrite", detail="precision"):
            to_half(graph)
            clean_up(graph, target.plugins)


def _of(stage: str, plugins: Plugins, target: Target | None = None) -> list[Rewrite]:
    return [
        staged.rewrite
        for staged in plugins.rewrites.values()
        if staged.stage == stage
        and (staged.when is None or target is None or _wants(staged, target))
    ]


def _wants(staged: StagedRewrite, target: Target) -> bool:
    assert staged.when is not None
    try:
        return bool(staged.when(target))
    except Exception as error:  # a stranger's condition may raise anything
        name = staged.rewrite.name
        raise PluginError(
            f"pack {target.plugins.rewrites.owner(name)!r}: the condition of rewrite {name!r} "
            f"failed for backend {target.backend.name!r}",
            details=[f"{type(error).__name__}: {error}"],
        ) from error
