"""The packs of Forward, also where the checkout is only on the path and nothing is installed."""

from __future__ import annotations

import importlib
import importlib.util

from fwd_core.plugins import Plugins

#: Entry points as the three distributions declare them.
_PACKS = {
    "core": "fwd_core.core_pack",
    "torch": "fwd_ops_torch.pack",
    "bert": "fwd_plugins_bert.pack",
}


def plugins() -> Plugins:
    """Packs that are installed; if none are, those of this checkout that are on the path."""
    found = Plugins.discover()
    if "core" in found.packs:
        return found
    on_path = {name: module for name, module in _PACKS.items() if _is_there(module)}
    return Plugins({name: importlib.import_module(module) for name, module in on_path.items()})


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
