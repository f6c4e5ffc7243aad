"""Showing the phases of long work: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from fwd_core.cli.session import Session
from fwd_core.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_DETAIL_WIDTH = 40


@contextmanager
def phases(session: Session) -> Iterator[Phases]:
    """Show the events of a block of work on standard error.

    What the work prints goes to standard error too, so that standard output holds the
    command's result alone.
    """
    if session.err.is_terminal:
        with _display(session) as display:
            shown = Phases(_Live(display))
            try:
                yield shown
            except BaseException:
                shown.settle("[red]✗[/]")
                raise
            shown.settle("[green]✓[/]")
    else:
        with redirect_stdout(session.stderr):
            yield Phases(lambda event: _plain_line(session, event))


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

    def settle(self, mark: str) -> None:
        """Put a mark at phases that ended last."""
        if isinstance(self._show, _Live):
            self._show.settle(mark)


def _plain_line(session: Session, event: Event) -> None:
    if event.state == "start":
        session.note(f"{event.phase}: {event.detail}" if event.detail else event.phase)


def _display(session: Session) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        console=session.err,
    )


class _Live:
    """Rows of a live display, one per phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._open: list[tuple[str, TaskID]] = []
        self._ended: list[TaskID] = []

    def __call__(self, event: Event) -> None:
        if event.state == "start":
            self.settle("[green]✓[/]")
            row = self._progress.add_task(
                event.phase, total=event.total, mark="[yellow]…[/]", detail=event.detail
            )
            self._open.append((event.phase, row))
            return
        found = [row for phase, row in self._open if phase == event.phase]
        if not found:
            return
        row = found[-1]
        if event.state == "step":
            self._progress.update(row, completed=event.step, detail=event.detail[:_DETAIL_WIDTH])
            return
        self._open = [(phase, other) for phase, other in self._open if other != row]
        self._ended.append(row)
        self._progress.stop_task(row)

    def settle(self, mark: str) -> None:
        """Put a mark at phases that ended, now that it is known how."""
        for row in self._ended:
            self._update(row, mark)
        self._ended = []

    def _update(self, row: TaskID, mark: str) -> None:
        task: Any = self._progress.tasks[self._progress.task_ids.index(row)]
        total = task.total if task.total is not None else 1
        self._progress.update(row, mark=mark, total=total, completed=total)
