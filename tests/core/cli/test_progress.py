"""Showing the phases of long work."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fwd_core.cli.display import Display
from fwd_core.cli.progress import phases
from fwd_core.cli.session import Session
from fwd_core.events import Event, Events


def _session(terminal: bool, width: int = 60, height: int = 25) -> tuple[Session, io.StringIO]:
    session, file = Session(), io.StringIO()
    session.err = Console(
        file=file, force_terminal=terminal, width=width, height=height, color_system=None
    )
    session.stderr = file
    return session, file


def _last_frame(text: str) -> list[str]:
    """The display as it stands at the end: what follows the last time that it was wiped."""
    frame = re.split(r"\x1b\[\d*A(?:\x1b\[2K)?", text)[-1]
    frame = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", frame).replace("\r", "")
    return [re.sub(r"\d+\.\d+ s", "T s", line).rstrip() for line in frame.splitlines() if line]


def _work(events: Events) -> None:
    with events.phase("import", detail="layers"):
        events.send(Event("import", "step", 7, None, "relu"))
    with events.phase("compile", total=3) as phase:
        phase.step("kernels", count=3)
    with events.phase("save", detail="m.engine"):
        pass


def test_plain_lines() -> None:
    session, file = _session(terminal=False)
    with phases(session) as progress:
        _work(Events(progress))
    assert file.getvalue() == "import: layers\ncompile\nsave: m.engine\n"
    assert progress.steps == {"import": 7, "compile": 3}
    assert list(progress.seconds) == ["import", "compile", "save"]


def test_times_of_phases_that_come_again_add_up() -> None:
    session, _ = _session(terminal=False)
    with phases(session) as progress:
        events = Events(progress)
        with events.phase("rewrite", detail="clean-up"):
            pass
        first = progress.seconds["rewrite"]
        with events.phase("rewrite", detail="fusion"):
            pass
    assert progress.seconds["rewrite"] > first > 0
    progress(Event("never-begun", "end"))
    assert "never-begun" not in progress.seconds


def test_what_the_work_prints_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    session, file = _session(terminal=False)
    with phases(session):
        print("noise of a library")
    assert file.getvalue() == "noise of a library\n"
    assert capsys.readouterr().out == ""


def test_rows_of_a_terminal() -> None:
    session, file = _session(terminal=True)
    with phases(session) as progress:
        _work(Events(progress))
    assert _last_frame(file.getvalue()) == [
        "\N{CHECK MARK} import  T s layers, 7 steps",
        "\N{CHECK MARK} compile T s 3 steps",
        "\N{CHECK MARK} save    T s m.engine",
    ]


def test_rewrites_and_runs_have_names_of_their_own() -> None:
    session, file = _session(terminal=True)
    with phases(session) as progress:
        events = Events(progress)
        with events.phase("rewrite", detail="clean-up"):
            pass
        with events.phase("rewrite", detail="fusion"):
            pass
        with events.phase("warm-up", 5) as phase:
            phase.step(count=5)
    assert _last_frame(file.getvalue()) == [
        "\N{CHECK MARK} clean-up T s",
        "\N{CHECK MARK} fusion   T s",
        "\N{CHECK MARK} warm-up  T s 5 runs",
    ]


def test_the_row_that_failed() -> None:
    session, file = _session(terminal=True)

    def fails() -> None:
        with phases(session) as progress:
            events = Events(progress)
            with events.phase("import"):
                pass
            with events.phase("compile"), events.phase("tune"):
                raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fails()
    assert _last_frame(file.getvalue()) == [
        "\N{CHECK MARK} import  T s",
        "\N{BALLOT X} compile T s",
        "\N{BALLOT X} tune    T s",
    ]


def test_rows_of_phases_under_way() -> None:
    session, file = _session(terminal=True)
    with Display(session.err) as display:
        display.show(Event("lower", "start", 0, 4, "toy"))
        display.show(Event("lower", "step", 2, 4, "relu"))
        display.show(Event("other", "step", 1))  # of a phase that never began
    (row,) = _last_frame(file.getvalue())
    assert re.search(r"\S lower T s toy, relu +\S+$", row)


def _builds(events: Events, count: int, failing: bool = False) -> None:
    for index in range(count):
        with events.phase("lower", total=9) as phase:
            phase.step(count=9)
        with events.phase("metric", detail=f"int8 with {index} layers in float"):
            if failing and index == count - 1:
                raise OSError("disk")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (24, 8), (80, 4)])
def test_more_phases_than_lines(width: int, height: int) -> None:
    """What goes on is in sight: no frame has more lines than the terminal, nor wraps."""
    session, file = _session(terminal=True, width=width, height=height)
    with phases(session) as progress:
        _builds(Events(progress), 30)
    text = file.getvalue()
    frames = re.split(r"\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*", text.replace("\x1b[?25h", ""))
    assert len(frames) > 60
    assert max(len(frame.strip().splitlines()) for frame in frames) == height - 1
    assert "..." not in text
    earlier, *rows = _last_frame(text)
    assert re.match(rf"\N{{CHECK MARK}} earlier +T s {60 - len(rows)} p", earlier)
    assert [row.split()[1] for row in rows] == (["lower", "metric"] * 30)[60 - len(rows) :]
    assert len(rows) == height - 2
    assert all(len(row) <= width for row in (earlier, *rows))


def test_phases_that_fit_share_no_row() -> None:
    session, file = _session(terminal=True, height=21)
    with phases(session) as progress:
        _builds(Events(progress), 10)
    assert len(_last_frame(file.getvalue())) == 20
    assert "earlier" not in file.getvalue()


def test_the_row_that_failed_of_more_than_fit() -> None:
    session, file = _session(terminal=True, height=6)

    def fails() -> None:
        with phases(session) as progress:
            _builds(Events(progress), 10, failing=True)

    with pytest.raises(OSError, match="disk"):
        fails()
    assert _last_frame(file.getvalue()) == [
        "\N{CHECK MARK} earlier T s 16 phases",
        "\N{CHECK MARK} lower   T s 9 steps",
        "\N{CHECK MARK} metric  T s int8 with 8 layers in float",
        "\N{CHECK MARK} lower   T s 9 steps",
        "\N{BALLOT X} metric  T s int8 with 9 layers in float",
    ]
