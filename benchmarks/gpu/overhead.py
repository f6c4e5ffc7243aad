"""``Engine.run_list`` on arrays of the device, and what it adds to a bare launch of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import build
from benchmarks.gpu.case import Case
from benchmarks.gpu.memory import DeviceBuffer
from benchmarks.gpu.packs import plugins
from benchmarks.gpu.replay import Replay
from benchmarks.gpu.rounds import Call, timed
from benchmarks.gpu.rows import Row
from fwd_core import Engine
from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.errors import ForwardError

_ROUNDS, _CALLS = 200, 50
#: Runs before the first that counts: the engine records its graph in them.
_WARM_UP = 5


def loaded(case: Case, mode: str) -> Engine:
    """The engine that a build left beside the case."""
    return Engine.load(case.folder / f"forward-{mode}.engine", plugins=plugins())


def run_list(engine: Any, inputs: Sequence[Any]) -> tuple[Call, list[Any]]:
    """A call with arrays of the device and a wait for the stream, and what it gave.

    Raises:
        ForwardError: The engine does not run.
    """
    stream = cuda.call("cudaStreamCreate")
    bound, _ = engine.executable.bound
    arrays = [
        DeviceBuffer.of(array, kind.storage) for array, kind in zip(inputs, bound, strict=True)
    ]
    run, wait, handle = engine.run_list, cuda.runtime().cudaStreamSynchronize, int(stream)

    def call() -> Any:
        results = run(arrays, stream=handle)
        wait(stream)
        return results

    for _ in range(_WARM_UP):
        results = call()
    return call, [np.asarray(one.numpy()) for one in results]


def measure(row: Row, folder: Path) -> dict[str, Any]:
    """Host time of ``run_list`` above a bare launch of the same graph, both with the wait."""
    case = Case.of(folder, row)
    inputs, _ = case.read()
    try:
        engine = loaded(case, row.mode)
        names = engine.plan.manifest["bindings"]
        feeds = list(zip(names["inputs"], inputs, strict=True))
        bare = Replay(build.library(), engine.plan.payload(), feeds, names["outputs"]).once
        call, _ = run_list(engine, inputs)
    except (ForwardError, TypeError, AttributeError) as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    rounds = [[_median_us(one) for one in (bare, call)] for _ in range(_ROUNDS)]
    bares, runs = np.array(rounds).T
    extra = runs - bares
    low, high = np.percentile(extra, [2.5, 97.5])
    return {
        "bare_us": float(np.median(bares)),
        "run_us": float(np.median(runs)),
        "overhead_us": [float(np.median(extra)), float(low), float(high)],
    }


def _median_us(call: Call) -> float:
    return float(np.median(timed(call, _CALLS))) * 1e6
