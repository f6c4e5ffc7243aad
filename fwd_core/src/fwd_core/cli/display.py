"""The live display of phases in a terminal: a row each, which stays when the phase is over.

Of more phases than the terminal has lines, the earliest share a row.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from fwd_core.cli.output import plural, seconds
from fwd_core.events import Event

if TYPE_CHECKING:
    from rich.progress import TaskID

_DONE = Text("\N{CHECK MARK}", "green")
#: Phases whose steps are runs of an engine.
_RUNS = ("warm-up", "measure")
_FAILED = Text("\N{BALLOT X}", "red")


class Display:
    """Rows of phases. Use it in a ``with`` block; if that raises, the last phase has failed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            _Mark(),
            TextColumn("{task.description}"),
            _Seconds(),
            _Detail(),
            _Bar(bar_width=20),
            console=console,
        )
        self._open: list[tuple[str, TaskID]] = []
        self._ended: list[TaskID] = []
        #: Rows that are done, and those of them that share one.
        self._marked: list[TaskID] = []
        self._earlier = self._progress.add_task(
            "earlier", start=False, total=None, visible=False, title="", step="", mark=_DONE
        )
        self._folded: list[Task] = []

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._settle(_DONE if error is None else _FAILED)
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Take one event."""
        if event.state == "start":
            self._settle(_DONE)
            self._fit()
            # Several phases may be rewrites: what each does is its name.
            again = event.phase == "rewrite" and event.detail
            name, title = (event.detail, "") if again else (event.phase, event.detail)
            row = self._progress.add_task(name, total=event.total, title=title, step="", mark=None)
            self._open.append((event.phase, row))
            return
        rows = [row for phase, row in self._open if phase == event.phase]
        if not rows:
            return
        if event.state == "step":
            self._progress.update(rows[-1], completed=event.step, step=event.detail)
            return
        self._open.remove((event.phase, rows[-1]))
        self._ended.append(rows[-1])
        self._progress.stop_task(rows[-1])

    def _settle(self, mark: Text) -> None:
        """Mark phases that ended: an end is told of failures too, so what follows tells which."""
        for row in self._ended:
            self._progress.update(row, mark=mark)
        self._marked += self._ended
        self._ended = []

    def _fit(self) -> None:
        """Make room for one more row: the earliest that are done share one.

        What does not fit would be cut off at the end, where the work goes on.
        """
        shown = len(self._open) + len(self._marked) + bool(self._folded)
        over = shown + 1 - (self._console.height - 1)
        if over > 0 and not self._folded:
            over += 1  # the row that they share
        if over < 1 or len(self._marked) < 2:
            return
        hidden, self._marked = self._marked[:over], self._marked[over:]
        for row in hidden:
            self._progress.update(row, visible=False)
        self._folded += [task for task in self._progress.tasks if task.id in hidden]
        spent = max(task.stop_time or 0.0 for task in self._folded) - min(
            task.start_time or 0.0 for task in self._folded
        )
        title = plural(len(self._folded), "phase")
        self._progress.update(self._earlier, visible=True, title=title, spent=spent)


class _Mark(SpinnerColumn):
    def render(self, task: Task) -> RenderableType:
        mark: Text | None = task.fields["mark"]
        return super().render(task) if mark is None else mark


class _Seconds(ProgressColumn):
    def render(self, task: Task) -> Text:
        spent = task.fields.get("spent", task.elapsed or 0.0)
        return Text(seconds(spent), "cyan", justify="right", no_wrap=True)


class _Detail(ProgressColumn):
    """What the phase works on; when it is over, how many steps it made."""

    def render(self, task: Task) -> Text:
        parts = [task.fields["title"]]
        if task.stop_time is None:
            parts.append(task.fields["step"])
        elif task.completed:
            noun = "run" if task.description in _RUNS else "step"
            parts.append(plural(int(task.completed), noun))
        # One line: a row that wraps would push the last one out of the terminal.
        text = ", ".join(part for part in parts if part)
        return Text(text, "dim", overflow="ellipsis", no_wrap=True)


class _Bar(BarColumn):
    def render(self, task: Task) -> RenderableType:  # type: ignore[override]
        if task.total is None or task.stop_time is not None:
            return Text()
        return super().render(task)
