"""What to do about a pack or a library that is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from importlib import metadata

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
    return f"pip install './fwd_ops_torch[torch]' in a checkout of Forward {gain}"


def pip_install(extra: str, distribution: str = "fwd-core") -> str:
    """The command that brings what an extra of a distribution asks for.

    It names the requirements themselves, as the distribution's own metadata tell them: they are on
    every registry, and the extra has a name for pip only where the distribution is on one.
    """
    try:
        asked = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        asked = []
    mark = re.compile(rf"""\s*;\s*extra\s*==\s*['"]{re.escape(extra)}['"]\s*$""")
    found = [mark.sub("", one) for one in asked if mark.search(one)]
    return " ".join(["pip install", *(repr(one) for one in found or [f"{distribution}[{extra}]"])])


def to_have_packs(names: Iterable[str], plugins: Plugins) -> str | None:
    """A hint for packs that are needed, of those names that are not in use."""
    told = []
    for name in names:
        pack = plugins.packs.get(name)
        if pack is None:
            told.append(f"install pack {name!r}")
        elif pack.disabled:
            told.append(f"let pack {name!r} in: it is left out by {ONLY} or {DISABLE}")
        elif pack.failure:
            told.append(f"pack {name!r} failed: `fwd plugins` says why")
    return "; ".join(told) or None


def closest(name: str, known: Iterable[str]) -> str | None:
    """A hint for a misspelt name, if one that is known is near it."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {found[0]!r}?" if found else None


def on_option(name: str, known: Iterable[str], plugins: Plugins) -> str:
    """A hint for an option of a build that is not known.

    Packs that are left out are not asked for theirs: that would load them.
    """
    if name in ("skip", "algorithm", "attention"):
        return f"calibrator=Calibrator(batches, {name}=...) takes it, of fwd_core.quantize"
    if (hint := closest(name, known)) is not None:
        return hint
    disabled = [repr(pack.name) for pack in plugins.packs.values() if pack.disabled]
    if disabled:
        return (
            "leave it out; or if it is of a pack, let that in: "
            f"{', '.join(disabled)} left out by {ONLY} or {DISABLE}"
        )
    return "leave it out; or if it is of a pack, pip install that (`fwd plugins` lists those here)"
