"""Packs that are installed for one test: a folder on the path with a distribution's metadata."""

from __future__ import annotations

from pathlib import Path

import pytest


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, source: str = ""
) -> None:
    """Make ``name`` a pack whose hooks are in ``module``, here and in processes started from here.

    Args:
        folder: Made if need be, and put on the path.
        monkeypatch: Undoes it.
        name: Name of the entry point.
        module: Name of the module.
        source: Text of the module, if there is none yet.
    """
    about = folder / f"{name}_pack-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-pack\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[fwd]\n{name} = {module}\n")
    if source:
        (folder / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
