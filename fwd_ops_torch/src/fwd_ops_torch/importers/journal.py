"""What tensors were before a branch that may not be taken changed them.

A branch on data is run while importing, to see what it does; then its changes are undone, because
the other branch starts from the same state. While a journal is kept, storages and refs tell it what
is about to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Recorded(Protocol):
    """An object whose state is its slots; lists in them are copied."""

    __slots__: tuple[str, ...]


class Journal:
    """The state that objects had when they were first changed, and what was made since."""

    def __init__(self) -> None:
        self._before: dict[Any, dict[str, Any]] = {}
        self._made: set[Any] = set()

    def changed(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Objects from before the journal that it was told of, with the state they had."""
        yield from self._before.items()

    def note(self, one: Recorded) -> None:
        """Note an object before it changes."""
        if one not in self._made and one not in self._before:
            state = {name: getattr(one, name) for name in type(one).__slots__}
            self._before[one] = {
                name: list(held) if isinstance(held, list) else held for name, held in state.items()
            }

    def made(self, one: Recorded) -> None:
        """Note a new object: what happens to it is not undone, since nobody else has it."""
        self._made.add(one)

    def undo(self) -> None:
        """Give all objects the state that they had."""
        for one, state in self._before.items():
            for name, held in state.items():
                setattr(one, name, held)


_KEPT: ContextVar[Journal | None] = ContextVar("kept", default=None)


def changes(one: Recorded) -> None:
    """Say that an object is about to change."""
    if (journal := _KEPT.get()) is not None:
        journal.note(one)


def created(one: Recorded) -> None:
    """Say that an object is new."""
    if (journal := _KEPT.get()) is not None:
        journal.made(one)


@contextmanager
def keeping(journal: Journal | None) -> Iterator[None]:
    """Keep a journal; with ``None``, what is made belongs to no branch."""
    token = _KEPT.set(journal)
    try:
        yield
    finally:
        _KEPT.reset(token)
