"""The document that Forward implements: its Python blocks, read from it and executed.

The document is not part of this project: ``FORWARD_REFERENCE_DOC`` names its file. What has to be
changed before a block runs is a patch, a list of texts and what takes their place.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from fwd_ops_torch.importers import jit

NAMED = os.environ.get("FORWARD_REFERENCE_DOC", "")
available = pytest.mark.skipif(not NAMED, reason="FORWARD_REFERENCE_DOC names no document")
Patch = list[tuple[str, str]]


def text() -> str:
    """The document."""
    return Path(NAMED).read_text(encoding="utf-8")


def block(title: str) -> str:
    """The Python block under a heading."""
    heading = re.search(rf"^#+ {re.escape(title)}$", text(), re.MULTILINE)
    assert heading is not None, f"no heading {title!r}"
    found = re.search(r"``` ?python\n(.*?)```", text()[heading.end() :], re.DOTALL)
    assert found is not None, f"no Python block under {title!r}"
    return found.group(1)


def quoted(code: str) -> list[str]:
    """What a block has in quotes instead of comments."""
    return [part.strip() for part in re.findall(r"'''\n(.*?)'''", code, re.DOTALL)]


def patched(code: str, patch: Patch) -> str:
    """The code with every change of a patch applied; each must apply."""
    for old, new in patch:
        assert old in code, f"the patch {old!r} no longer applies"
        code = code.replace(old, new)
    return code


def run(title: str, code: str, patch: Patch, **names: Any) -> dict[str, Any]:
    """Execute a block, or a part of one, and return its names."""
    scope = dict(names)
    with jit.quiet():
        exec(compile(patched(code, patch), title, "exec"), scope)
    tell(title)
    return scope


def tell(title: str) -> None:
    """Tell CI that a block ran: a line per block, whichever process runs it."""
    if report := os.environ.get("FORWARD_REFERENCE_COUNT"):
        with Path(report).open("a", encoding="utf-8") as file:
            file.write(f"{title}\n")
