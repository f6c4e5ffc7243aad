"""Forward's core: graphs, rewrites, backends and engines. It knows no deep-learning framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fwd_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from fwd_core.builder import Builder
    from fwd_core.engine import Engine
    from fwd_core.importing import OptBatch
    from fwd_core.plugins import Plugins, lowering

__version__ = "0.1.0"
__all__ = ["Builder", "Engine", "OptBatch", "Plugins", "hookimpl", "lowering"]

_HOMES = {
    "Builder": "fwd_core.builder",
    "Engine": "fwd_core.engine",
    "OptBatch": "fwd_core.importing",
    "Plugins": "fwd_core.plugins",
    "lowering": "fwd_core.plugins",
}


def __getattr__(name: str) -> Any:
    # Packs' hook modules import `hookimpl` from here, so this module must cost next to nothing.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
