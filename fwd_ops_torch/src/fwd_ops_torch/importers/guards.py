"""Which lists and dicts may not be changed because of branches on data.

A branch that may not be taken cannot change what was there before it. And where branches gave a
list each, what they give together may be a list from before, or not: to change either then has no
one meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fwd_core.errors import ConversionError
from fwd_core.ir import Location


class Guards:
    """Knows the lists and dicts of one import that stand under a guard."""

    def __init__(self) -> None:
        # The objects are held here too, so that no other object gets their id.
        self._outside: list[dict[int, Any]] = []
        self._doubtful: dict[int, Any] = {}

    @property
    def in_branch(self) -> bool:
        """Whether a branch on data is under way."""
        return bool(self._outside)

    @contextmanager
    def branching(self, held: Iterable[Any]) -> Iterator[None]:
        """Guard what the program holds while it is in branches."""
        outside: dict[int, Any] = {}
        for value in held:
            _collect(value, outside)
        self._outside.append(outside)
        try:
            yield
        finally:
            self._outside.pop()

    def note_choice(self, result: Any, *sources: Any) -> None:
        """Note that a list or dict stands for others, some of which may be from before."""
        outside = self._outside[-1] if self._outside else {}
        before = [source for source in sources if id(source) in outside]
        for one in [result, *before] if before else []:
            self._doubtful[id(one)] = one

    def check(self, container: Any, where: Location) -> None:
        """Refuse a change.

        Raises:
            ConversionError: The list or dict stands under a guard.
        """
        if id(container) in self._doubtful:
            raise ConversionError(
                "a list or dict is changed that may be one from before a branch on data, or not",
                where=where,
                hint="give a new list in both branches, as list(items)",
            )
        if any(id(container) in outside for outside in self._outside):
            raise ConversionError(
                "a branch on data changes a list or dict from outside",
                where=where,
                expected="branches that may not be taken and leave lists and dicts as they are",
                hint="make a new one in both branches, or put in tensors that torch.where chooses",
            )


def _collect(value: Any, found: dict[int, Any]) -> None:
    if isinstance(value, (list, tuple, dict)):
        if id(value) in found:
            return
        found[id(value)] = value
        for item in value.values() if isinstance(value, dict) else value:
            _collect(item, found)
