"""Showing the phases of long work: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from fwd_core.cli.session import Session
from fwd_core.events import Event, Events


@contextmanager
def phases(session: Session) -> Iterator[Phases]:
    """Show the events of a block of work on standard error.

    What the work prints goes to standard error too, so that standard output holds the
    command's result alone.
    """
    if not session.err.is_terminal:
        with redirect_stdout(session.stderr):
            yield Phases(lambda event: _plain_line(session, event))
        return
    from fwd_core.cli.display import Display

    with Display(session.err) as display:
        yield Phases(display.show)


@contextmanager
def loading(session: Session) -> Iterator[None]:
    """Show that packs are loaded: a framework that one of them needs may take seconds."""
    with phases(session) as progress, Events(progress).phase("load", detail="packs"):
        yield


class Phases:
    """Listens to events, shows them, and adds up what they say.

    Attributes:
        seconds: How long each phase took in all.
        steps: Steps that each phase made.
    """

    def __init__(self, show: Callable[[Event], None]) -> None:
        self._show = show
        self._started: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.steps: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if event.state == "start":
            self._started[event.phase] = time.perf_counter()
        elif event.state == "step":
            self.steps[event.phase] = event.step
        elif event.phase in self._started:
            spent = time.perf_counter() - self._started.pop(event.phase)
            self.seconds[event.phase] = self.seconds.get(event.phase, 0.0) + spent
        self._show(event)


def _plain_line(session: Session, event: Event) -> None:
    if event.state == "start":
        session.note(f"{event.phase}: {event.detail}" if event.detail else event.phase)
