"""What calibrating costs beside running in float32: ``python -m benchmarks.cpu.calibrating``.

Time: of all that calibrating a graph does (compiling its pieces, running them, collecting, choosing
ranges), in turns with running the same inputs through a float32 engine in the same process.
Memory: peaks of one process each, above what it held when the graph was there. The float32 process
compiles and runs the graph.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import write
from benchmarks.models import calibration_data, make

if TYPE_CHECKING:
    from fwd_core import Builder
    from fwd_core.ir.graph import Graph

_ROUNDS = 3


def times(name: str, count: int, threads: int) -> dict[str, Any]:
    """Seconds of both in this process; the ratio is the median of the rounds' ratios."""
    from fwd_core.quantize.calibrate import Calibrator

    builder, graph, data = _ready(name, count, threads)
    engine = builder.compile(_ready(name, 0, threads)[1])

    def run() -> None:
        for arrays in data:
            engine.run_list(arrays)

    def calibrate() -> None:
        Calibrator(data).calibrate(graph, builder)

    run()
    rounds = np.array([[_seconds(run), _seconds(calibrate)] for _ in range(_ROUNDS)])
    medians = np.median(rounds, axis=0)
    return {
        "float32_s": float(medians[0]),
        "calibrate_s": float(medians[1]),
        "ratio": float(np.median(rounds[:, 1] / rounds[:, 0])),
    }


def peak(name: str, count: int, threads: int, what: str) -> dict[str, Any]:
    """Peak bytes of one of both above the graph, and the bytes of its weights; in this process."""
    from fwd_core.quantize.calibrate import Calibrator

    builder, graph, data = _ready(name, count, threads)
    weights = sum(tensor.data.nbytes for tensor in graph.constants.values())
    gc.collect()
    before = _status("VmRSS")
    _reset_peak()
    if what == "float32":
        engine = builder.compile(graph)
        for arrays in data:
            engine.run_list(arrays)
    else:
        Calibrator(data).calibrate(graph, builder)
    return {"peak": _status("VmHWM") - before, "weights": weights}


def measure(name: str, count: int, threads: int) -> dict[str, Any]:
    """Time and memory, each in processes of its own."""
    result = {"model": name, "images": count, **_child("time", name, count, threads)}
    for what in ("float32", "calibrate"):
        found = _child(what, name, count, threads)
        result[f"{what}_peak_mb"] = found["peak"] / 2**20
        result["weights_mb"] = found["weights"] / 2**20
    result["peak_ratio"] = result["calibrate_peak_mb"] / result["float32_peak_mb"]
    return result


def told(row: dict[str, Any]) -> str:
    """The result in words."""
    return (
        f"{row['model']}, {row['images']} inputs: running them in float32 takes "
        f"{row['float32_s']:.2f} s, calibrating {row['calibrate_s']:.2f} s, {row['ratio']:.2f} "
        f"times as long. Peak memory above the graph: {row['float32_peak_mb']:.0f} MiB in float32, "
        f"{row['calibrate_peak_mb']:.0f} MiB calibrating, {row['peak_ratio']:.2f} times as much; "
        f"weights are {row['weights_mb']:.0f} MiB."
    )


def _ready(name: str, count: int, threads: int) -> tuple[Builder, Graph, list[Any]]:
    import torch

    from fwd_core import Builder
    from fwd_ops_torch.importers import jit

    torch.set_num_threads(threads)
    model, inputs = make(name)
    builder = Builder(backend="openvino", options={"threads": threads})
    graph = builder.import_model(jit.trace(model, inputs), inputs)
    drawn = calibration_data(name, count) if count else []
    return builder, graph, [[tensor.numpy() for tensor in one] for one in drawn]


def _seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's memory")


def _reset_peak() -> None:
    """Let VmHWM begin anew: tracing has its own peak, which is not what is measured."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _child(what: str, name: str, count: int, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.cpu.calibrating", "--one", what]
    command += ["--model", name, "--images", str(count), "--threads", str(threads)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"calibrating failed:\n{ended.stderr[-2000:]}")
    row: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Measure and print; ``--json`` writes the numbers too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--one", choices=("time", "float32", "calibrate"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    given = (arguments.model, arguments.images, arguments.threads)
    if arguments.one:
        one = times(*given) if arguments.one == "time" else peak(*given, arguments.one)
        print(json.dumps(one))
        return
    result = measure(*given)
    print(told(result))
    if arguments.json:
        write(arguments.json, result)


if __name__ == "__main__":
    main()
