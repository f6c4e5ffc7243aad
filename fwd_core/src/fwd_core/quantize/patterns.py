"""Which nodes a user's patterns mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from fwd_core.errors import OptionError
from fwd_core.ir.graph import Graph, Node


def matching(graph: Graph, patterns: Sequence[str]) -> dict[str, str]:
    """Names of the nodes that patterns match, each with the first pattern that does.

    A pattern is a glob over names of nodes and over module paths; one that matches a module
    matches all in it. ``head.*``, ``head`` and ``head/linear`` all match ``head/linear``.

    Raises:
        OptionError: ``patterns`` is a single string, or a pattern matches nothing.
    """
    if isinstance(patterns, str):
        raise OptionError(
            "skip", expected="a list of patterns", got=repr(patterns), hint=f"skip=[{patterns!r}]"
        )
    found: dict[str, str] = {}
    forms = {node: _forms(node) for node in graph}
    for pattern in patterns:
        matched = [
            node for node, names in forms.items() if any(fnmatchcase(n, pattern) for n in names)
        ]
        if not matched:
            raise _unmatched(pattern, forms.values())
        for node in matched:
            found.setdefault(node.name, pattern)
    return found


def _forms(node: Node) -> tuple[str, ...]:
    return (node.name, node.name.replace("/", "."), *_modules(node))


def _modules(node: Node) -> Iterator[str]:
    """The module path of a node and those around it."""
    path = node.location.module or node.name.rpartition("/")[0]
    while path:
        yield path
        path = path.rpartition(".")[0]


def _unmatched(pattern: str, forms: object) -> OptionError:
    known = dict.fromkeys(name for names in forms for name in names)  # type: ignore[attr-defined]
    plain = pattern.rstrip("*").rstrip("./")
    close = difflib.get_close_matches(plain, list(known), 3, 0.5)
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else "`fwd inspect MODEL --input … --tensors` prints names of nodes"
    )
    return OptionError(f"skip: no node matches {pattern!r}", hint=hint)
