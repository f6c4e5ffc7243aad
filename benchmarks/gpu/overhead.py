"""``Engine.run`` and ``run_list`` on arrays of the device, and what they add to a bare launch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import build
from benchmarks.gpu.case import Case
from benchmarks.gpu.memory import DeviceBuffer
from benchmarks.gpu.packs import plugins
from benchmarks.gpu.replay import Recorded, Replay
from benchmarks.gpu.rounds import Call, timed
from benchmarks.gpu.rows import Row
from fwd_core import Engine
from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.errors import ForwardError

_ROUNDS, _CALLS = 130, 50
#: Runs before the first that counts: the engine records its graph in them.
_WARM_UP = 5


def loaded(case: Case, mode: str) -> Engine:
    """The engine that a build left beside the case."""
    return Engine.load(case.folder / f"forward-{mode}.engine", plugins=plugins())


class Calls:
    """``run_list`` of an engine on arrays of the device, on a stream of its own.

    Args:
        engine: The engine.
        inputs: Arrays of the host, which are copied to the device once.

    Raises:
        ForwardError: The engine does not run.
    """

    def __init__(self, engine: Any, inputs: Sequence[Any]) -> None:
        self._engine, self._stream = engine, cuda.call("cudaStreamCreate")
        bound, _ = engine.executable.bound
        self._given: Any = [
            DeviceBuffer.of(array, kind.storage) for array, kind in zip(inputs, bound, strict=True)
        ]
        self._run: Callable[..., Any] = engine.run_list
        self._handle = int(self._stream)
        self._wait = cuda.quick("cudaStreamSynchronize")  # raises: what failed would look fast
        for _ in range(_WARM_UP):
            results = self.once()
        self.results = [np.asarray(one.numpy()) for one in results]

    def by_name(self) -> Calls:
        """The same with ``run``, on the same arrays and stream."""
        named = copy.copy(self)
        names = [port.name for port in self._engine.inputs]
        named._run, named._given = self._engine.run, dict(zip(names, self._given, strict=True))
        for _ in range(_WARM_UP):
            named.once()
        return named

    def launch(self) -> Any:
        """Call, and do not wait."""
        return self._run(self._given, stream=self._handle)

    def wait(self) -> None:
        """Wait for the end of what was called."""
        self._wait(self._stream)

    def once(self) -> Any:
        """Call and wait."""
        results = self._run(self._given, stream=self._handle)
        self._wait(self._stream)
        return results


def measure(row: Row, folder: Path) -> dict[str, Any]:
    """What calls take above a bare launch of the same graph: on the host, and to the end.

    ``overhead_us`` is the host's time until the call returns, above that of the launch;
    ``late_us`` is what the call adds to the time until the GPU has done the work. Each with the
    bounds of 95 % of the rounds; those of ``run_list``, and under ``run`` those of ``run``.
    """
    case = Case.of(folder, row)
    inputs, _ = case.read()
    try:
        engine = loaded(case, row.mode)
        names = engine.plan.manifest["bindings"]
        feeds = list(zip(names["inputs"], inputs, strict=True))
        bare = Replay(build.library(), engine.plan.payload(), feeds, names["outputs"])
        calls = Calls(engine, inputs)
        sides = (bare.recorded, calls, calls.by_name())
    except (ForwardError, TypeError, AttributeError) as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    hosts = [[_launch_us(side) for side in sides] for _ in range(_ROUNDS)]
    ends = [[_median_us(side.once) for side in sides] for _ in range(_ROUNDS)]
    return summed_up(hosts, ends)


def summed_up(hosts: Sequence[Sequence[float]], ends: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Medians and differences of rounds.

    Args:
        hosts: By round, microseconds until a bare launch, ``run_list`` and ``run`` return.
        ends: By round, until the work of each is done.
    """

    def beside(side: int) -> dict[str, Any]:
        return {
            "call_us": float(np.median([one[side] for one in hosts])),
            "overhead_us": _extra([(one[0], one[side]) for one in hosts]),
            "run_us": float(np.median([one[side] for one in ends])),
            "late_us": _extra([(one[0], one[side]) for one in ends]),
        }

    return {
        "launch_us": float(np.median([one[0] for one in hosts])),
        "bare_us": float(np.median([one[0] for one in ends])),
        **beside(1),
        "run": beside(2),
    }


def _extra(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Median and bounds of what the second of each pair is above the first."""
    extra = [run - bare for bare, run in pairs]
    low, high = np.percentile(extra, [2.5, 97.5])
    return [float(np.median(extra)), float(low), float(high)]


def _launch_us(side: Recorded | Calls) -> float:
    """Median time of a launch while the GPU is idle; the wait after it is not counted."""
    clock, times = time.perf_counter, []
    for _ in range(_CALLS):
        start = clock()
        kept = side.launch()
        times.append(clock() - start)
        side.wait()
        del kept
    return float(np.median(times)) * 1e6


def _median_us(call: Call) -> float:
    return float(np.median(timed(call, _CALLS))) * 1e6
