"""Progress of long work, as events that anyone may listen to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One step of progress.

    Attributes:
        phase: What is going on: ``import``, ``rewrite``, ``lower``, ``compile``,
            ``self-check``, ``save`` ….
        state: ``start``, ``step`` or ``end`` of the phase.
        step: Steps done.
        total: Steps in all, or ``None`` where that is not known.
        detail: A few words for a person.
    """

    phase: str
    state: str
    step: int = 0
    total: int | None = None
    detail: str = ""


Listener = Callable[[Event], None]


class Events:
    """Sends events to listeners.

    Args:
        listeners: Called with every event, in order.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def send(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(event)

    @contextmanager
    def phase(self, name: str, total: int | None = None, detail: str = "") -> Iterator[Phase]:
        """Announce a phase around a block of work. The end is told even when the block raises."""
        self.send(Event(name, "start", 0, total, detail))
        running = Phase(self, name, total)
        try:
            yield running
        finally:
            self.send(Event(name, "end", running.done, total))


class Phase:
    """A phase under way; call :meth:`step` as work is done."""

    def __init__(self, events: Events, name: str, total: int | None) -> None:
        self._events = events
        self._name = name
        self._total = total
        self.done = 0

    def step(self, detail: str = "", count: int = 1) -> None:
        """Say that ``count`` more steps are done."""
        self.done += count
        self._events.send(Event(self._name, "step", self.done, self._total, detail))
