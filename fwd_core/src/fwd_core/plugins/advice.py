"""What to do about a pack that is not there."""

from __future__ import annotations

from fwd_core.plugins.manager import DISABLE, ONLY, Plugins


def to_have_torch(plugins: Plugins, gain: str) -> str:
    """A hint for where the pack for PyTorch is missed.

    Args:
        plugins: What was found.
        gain: What the pack does, as ``reads PyTorch models``.
    """
    for pack in plugins.packs.values():
        if pack.distribution == "fwd-ops-torch" and pack.disabled:
            return (
                f"pack {pack.name!r} {gain}: it is installed, but left out by {ONLY} or {DISABLE}"
            )
        if pack.distribution == "fwd-ops-torch" and pack.failure:
            return f"pack {pack.name!r} {gain}: it is installed, but failed; `fwd plugins` says why"
    return f"pip install 'fwd-ops-torch[torch]' {gain}"
