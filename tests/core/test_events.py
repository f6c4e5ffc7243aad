"""Progress."""

from __future__ import annotations

import pytest

from fwd_core.events import Event, Events


def test_a_phase_is_told_in_order() -> None:
    first: list[Event] = []
    second: list[Event] = []
    events = Events(first.append, second.append)
    with events.phase("lower", total=3, detail="toy") as phase:
        phase.step("a")
        phase.step("b", count=2)
    assert first == second
    assert first == [
        Event("lower", "start", 0, 3, "toy"),
        Event("lower", "step", 1, 3, "a"),
        Event("lower", "step", 3, 3, "b"),
        Event("lower", "end", 3, 3),
    ]


def test_the_end_is_told_of_a_failure_too() -> None:
    heard: list[Event] = []
    with pytest.raises(OSError, match="disk"), Events(heard.append).phase("save") as phase:
        phase.step()
        raise OSError("disk")
    assert [(event.state, event.step) for event in heard] == [("start", 0), ("step", 1), ("end", 1)]


def test_nobody_need_listen() -> None:
    with Events().phase("import") as phase:
        phase.step()
    assert phase.done == 1
