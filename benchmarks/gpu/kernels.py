"""The kernels of one call, by Nsight Compute: what a compiled layer that is opaque is made of.

``python -m benchmarks.gpu.kernels FOLDER --model bert_base --batch 32 --mode float16`` runs the
engine that :mod:`benchmarks.gpu.build` left in FOLDER under ``ncu`` and prints a line for each kind
of kernel, those that take most first; ``--variant forward:level=5`` runs what
:mod:`benchmarks.gpu.variants` left there. Clocks are not held, and each kernel runs alone, so the
sum is more than a call takes; shares are what it tells.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.gpu import build, onnx_route
from benchmarks.gpu.case import Case
from benchmarks.gpu.replay import Replay
from benchmarks.gpu.rows import BATCHES, MODELS, MODES
from benchmarks.gpu.variants import Variant

_METRIC = "gpu__time_duration.sum"
_UNITS = {"ns": 1e-3, "nsecond": 1e-3, "us": 1.0, "usecond": 1.0, "ms": 1e3, "msecond": 1e3}


def table(text: str) -> list[tuple[str, int, float]]:
    """Name, count and microseconds of each kind of kernel, from ``ncu --csv``."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    kinds: dict[str, tuple[int, float]] = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
        if row["Metric Name"] != _METRIC:
            continue
        spent = float(row["Metric Value"].replace(",", "")) * _UNITS[row["Metric Unit"]]
        count, total = kinds.get(row["Kernel Name"], (0, 0.0))
        kinds[row["Kernel Name"]] = (count + 1, total + spent)
    found = [(name, count, total) for name, (count, total) in kinds.items()]
    return sorted(found, key=lambda one: -one[2])


def show(kinds: Iterable[tuple[str, int, float]]) -> str:
    """The table as text."""
    kinds = list(kinds)
    lines = [f"{total:9.1f} us {count:5d} x  {name}" for name, count, total in kinds]
    whole, count = sum(one[2] for one in kinds), sum(one[1] for one in kinds)
    return "\n".join([*lines, f"{whole:9.1f} us {count:5d} kernels"])


def run(case: Case, plan: Path, names: tuple[Sequence[str], Sequence[str]]) -> None:
    """Run an engine, with one call marked for the profiler."""
    from cuda.bindings import runtime

    inputs, _ = case.read()
    feeds = list(zip(names[0], inputs, strict=True))
    replay = Replay(build.library(), plan.read_bytes(), feeds, names[1])
    replay.recorded.once()
    runtime.cudaProfilerStart()
    replay.recorded.once()
    runtime.cudaProfilerStop()


def profile(command: Sequence[str]) -> str:
    """What ``ncu`` says of a command, as CSV."""
    options = ["--profile-from-start", "off", "--metrics", _METRIC, "--csv"]
    options += ["--clock-control", "none"]
    told = subprocess.run(["ncu", *options, *command], capture_output=True, text=True, check=False)
    if told.returncode:
        raise SystemExit(f"ncu failed:\n{told.stdout[-1500:]}\n{told.stderr[-1500:]}")
    return told.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, or run the profiler on a process that does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the models")
    parser.add_argument("--model", default=MODELS[0], choices=MODELS)
    parser.add_argument("--batch", type=int, default=1, choices=BATCHES)
    parser.add_argument("--mode", default="float16", choices=MODES)
    parser.add_argument("--route", default="forward", choices=build.ROUTES)
    parser.add_argument("--plan", type=Path, help="another plan, with --names beside it")
    parser.add_argument("--names", type=json.loads, help="inputs and outputs, as JSON")
    parser.add_argument("--variant", type=Variant.read, help="an engine of benchmarks.gpu.variants")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    case = Case(asked.folder, asked.model, asked.batch, int8=asked.mode == "int8")
    if not asked.inside:
        given = sys.argv[1:] if arguments is None else list(arguments)
        command = [sys.executable, "-m", "benchmarks.gpu.kernels", *given, "--inside"]
        print(show(table(profile(command))), flush=True)
        return
    plan = asked.plan or case.folder / f"{asked.route}-{asked.mode}.plan"
    if asked.variant:
        file = asked.variant.file(case, asked.mode)
        kept = json.loads(file.read_text(encoding="utf-8"))["names"]
        plan, names = file.with_suffix(".plan"), (kept["inputs"], kept["outputs"])
    elif asked.names:
        names = asked.names
    elif asked.route == "forward":
        from fwd_core import Engine

        with Engine.load(case.folder / f"forward-{asked.mode}.engine") as engine:
            bound = engine.plan.manifest["bindings"]
        names = (bound["inputs"], bound["outputs"])
    else:
        parsed = onnx_route.names(case)
        names = (parsed["inputs"], parsed["outputs"])
    run(case, plan, names)


if __name__ == "__main__":
    main()
