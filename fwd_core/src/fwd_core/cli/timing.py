"""Measuring how long runs of an engine take, from one thread or several."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fwd_core.events import Phase

if TYPE_CHECKING:
    from fwd_core.engine import Engine

#: Seconds between two moves of the display: one that moves more would take time from the runs.
_DISPLAY = 0.25
_now = time.perf_counter


@dataclass(frozen=True)
class Timings:
    """What was measured.

    Attributes:
        latencies: Seconds of each run, as its caller saw it.
        seconds: From the first run's start to the last one's end.
    """

    latencies: Sequence[float]
    seconds: float

    @property
    def count(self) -> int:
        """Number of runs."""
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """The latency that ``share`` percent of the runs did not exceed, in seconds."""
        import numpy as np

        return float(np.percentile(self.latencies, share))

    def document(self) -> dict[str, Any]:
        """As JSON, latencies in milliseconds."""
        latency = {f"p{share}": 1e3 * self.percentile(share) for share in (50, 90, 99)}
        latency |= {"min": 1e3 * min(self.latencies), "max": 1e3 * max(self.latencies)}
        return {
            "iterations": self.count,
            "seconds": self.seconds,
            "latency_ms": {"median": latency.pop("p50"), **latency},
            "runs_per_second": self.count / self.seconds,
        }


def measure(
    engine: Engine,
    arrays: Sequence[Any],
    threads: int,
    iterations: int | None,
    seconds: float,
    phase: Phase,
) -> Timings:
    """Run an engine again and again.

    Args:
        engine: What to run.
        arrays: Its inputs in order.
        threads: How many callers; with one, the calling thread itself.
        iterations: How many runs in all, or ``None``: until the time is over, one at least.
        seconds: How long without ``iterations``.
        phase: Told of runs, outside the time that is measured.

    Raises:
        ForwardError: What a run raised.
    """
    clock = _Clock(engine, arrays, iterations, seconds, phase)
    if threads == 1:
        clock.call()
    else:
        callers = [threading.Thread(target=clock.call, daemon=True) for _ in range(threads)]
        try:
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        finally:
            clock.stop = True  # Ctrl-C reaches this thread only
    total = _now() - clock.start
    if clock.error is not None:
        raise clock.error
    phase.step(count=len(clock.latencies) - phase.done)
    return Timings(clock.latencies, total)


class _Clock:
    """What callers share."""

    def __init__(
        self,
        engine: Engine,
        arrays: Sequence[Any],
        iterations: int | None,
        seconds: float,
        phase: Phase,
    ) -> None:
        self._engine, self._arrays = engine, arrays
        self._iterations, self._phase = iterations, phase
        self._lock = threading.Lock()
        self._begun = 0
        self.latencies: list[float] = []
        self.error: Exception | None = None
        self.stop = False
        self.start = self._shown = _now()
        self._end = self.start + seconds

    def call(self) -> None:
        """Run until there is enough, or a run fails."""
        try:
            while self._more():
                before = _now()
                self._engine.run_list(self._arrays)
                self._took(_now() - before)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error

    def _more(self) -> bool:
        with self._lock:
            if self._iterations is not None:
                wanted = self._begun < self._iterations
            else:
                wanted = not self._begun or _now() < self._end
            wanted = wanted and not self.stop and self.error is None
            self._begun += wanted
            return wanted

    def _took(self, time: float) -> None:
        with self._lock:
            self.latencies.append(time)
            if _now() - self._shown > _DISPLAY:
                self._phase.step(count=len(self.latencies) - self._phase.done)
                self._shown = _now()
