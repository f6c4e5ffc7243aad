"""Measuring runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from fwd_core.cli.timing import Timings, measure
from fwd_core.errors import InputError
from fwd_core.events import Event, Events


class Sleeper:
    """Stands where an engine does: a run takes a known time."""

    def __init__(self, seconds: float, fails_at: int | None = None) -> None:
        self.seconds = seconds
        self.fails_at = fails_at
        self.calls = 0
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def run_list(self, _given: Sequence[Any]) -> list[Any]:
        with self._lock:
            self.calls += 1
            self.threads.add(threading.get_ident())
            if self.calls == self.fails_at:
                raise InputError("no more")
        time.sleep(self.seconds)
        return []


def _measure(
    engine: Sleeper, threads: int = 1, iterations: int | None = None, seconds: float = 0.0
) -> tuple[Timings, list[Event]]:
    heard: list[Event] = []
    with Events(heard.append).phase("measure", iterations) as phase:
        found = measure(engine, [], threads, iterations, seconds, phase)  # type: ignore[arg-type]
    return found, heard


@pytest.mark.parametrize("threads", [1, 3])
def test_iterations_are_exact(threads: int) -> None:
    engine = Sleeper(0.001)
    found, heard = _measure(engine, threads, iterations=20)
    assert engine.calls == found.count == 20
    assert len(engine.threads) == threads
    assert (threading.get_ident() in engine.threads) == (threads == 1)
    # Threads overlap, so the sum of the latencies may exceed the time, never the other way round.
    assert found.seconds >= sum(found.latencies) / threads
    assert min(found.latencies) >= 0.001
    assert heard[-1] == Event("measure", "end", 20, 20)


def test_until_the_time_is_over() -> None:
    found, _ = _measure(Sleeper(0.005), seconds=0.1)
    assert 0.1 <= found.seconds < 1
    assert 2 <= found.count <= 20


def test_progress_is_told_now_and_then() -> None:
    _, heard = _measure(Sleeper(0.01), seconds=0.7)
    steps = [event.step for event in heard if event.state == "step"]
    assert 2 <= len(steps) <= 4, "not at every run: about four times a second, and at the end"
    assert steps == sorted(steps)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_fails_ends_all(threads: int) -> None:
    engine = Sleeper(0.001, fails_at=5)
    with pytest.raises(InputError, match="no more"):
        _measure(engine, threads, iterations=1000)
    assert engine.calls <= 5 + threads


def test_numbers() -> None:
    found = Timings([0.004, 0.001, 0.002, 0.003], 0.02)
    assert found.count == 4
    assert found.percentile(50) == pytest.approx(0.0025)
    assert found.document() == {
        "iterations": 4,
        "seconds": 0.02,
        "latency_ms": {
            "median": pytest.approx(2.5),
            "p90": pytest.approx(3.7),
            "p99": pytest.approx(3.97),
            "min": pytest.approx(1.0),
            "max": pytest.approx(4.0),
        },
        "runs_per_second": pytest.approx(200.0),
    }
