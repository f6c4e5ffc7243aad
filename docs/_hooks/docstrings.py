"""Docstrings as the site shows them: sources keep the forms that Python's own tools read.

mkdocstrings loads this by ``mkdocs.yml``. Roles become links where the site has the object, and
examples become code: a section ``Example:`` is text to it, ``Examples:`` is one that is formatted.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|data|mod|meth|attr|exc):`(~?)([^`]+)`")
_FLAG = re.compile(r"[ \t]*# doctest: \+\w+[ \t]*$", re.MULTILINE)
_EXAMPLE = re.compile(r"^([ \t]*)Example:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites the docstring of every object that is shown."""

    def on_object(self, *, obj: Any, **_more: Any) -> None:
        """Called by griffe for each object that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value, obj.canonical_path)


def rewritten(text: str, path: str) -> str:
    """A docstring for the site.

    Args:
        text: What the source says.
        path: The object that it describes: names without dots are looked for beside it.
    """

    def link(found: re.Match[str]) -> str:
        short, name = found.groups()
        target = name if name.startswith("fwd_") else f"{path.rpartition('.')[0]}.{name}"
        shown = name.rpartition(".")[2] if short else name
        return f'<autoref optional identifier="{target}"><code>{shown}</code></autoref>'

    return _EXAMPLE.sub(r"\1Examples:", _FLAG.sub("", _ROLE.sub(link, text)))
