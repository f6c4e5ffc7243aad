"""Packs: finding them, loading them, and what they register."""

from fwd_core.plugins.build_option import BuildOption
from fwd_core.plugins.manager import Pack, Plugins
from fwd_core.plugins.markers import lowering
from fwd_core.plugins.registry import Entry, Registry
from fwd_core.plugins.target import Target

__all__ = ["BuildOption", "Entry", "Pack", "Plugins", "Registry", "Target", "lowering"]
