"""Routes on TensorRT: ``python -m benchmarks.gpu.measure FOLDER --only resnet50 --batch 1``.

Builds both routes, each in a process of its own, then runs them here in turns, in short rounds
whose order is drawn anew. What is compared is the replay of one CUDA graph over buffers that stay
where they are, from its launch until the stream has ended, on the host's clock. Beside it stand
``Engine.run_list`` on arrays of the device, and the graph between two events on the device's
clock. Each row is written as soon as it is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import build, host, needs, onnx_route, overhead, rows
from benchmarks.gpu.case import Case, accuracy
from benchmarks.gpu.replay import Replay
from benchmarks.gpu.rounds import Call, in_turns
from benchmarks.gpu.rows import Row
from benchmarks.summary import latencies, ratio
from fwd_core.errors import ForwardError
from fwd_core.files import atomic_path

RUN = "forward run_list"
HALF = rows.HALF
UNASKED = rows.UNASKED
#: Which lowerings of the BERT pack are in use, kept beside a row that was built with it set.
PLUGINS = "FWD_BERT_PLUGINS"


class BuildFailedError(Exception):
    """A route could not be built; the text is the end of what its process said."""


#: Arguments that a build depends on, and all that a row's numbers do: kept beside them.
_OF_BUILD = ("workspace", "level", "timings", "together")
_RECORDED = (*_OF_BUILD, "seconds")


def routes(row: Row, *, unasked: bool = False) -> dict[str, tuple[str, str]]:
    """What is built for a row, by name: the program's route and the mode.

    Beside int8 stands Forward's own half of the same model: that is what int8 has to be worth.
    """
    forward, onnx = build.ROUTES
    made = {forward: (forward, row.mode)}
    if row.mode == "int8":
        made |= {HALF: (forward, "float16")}
        made |= {UNASKED: (build.UNASKED, row.mode)} if unasked else {}
    return made | {onnx: (onnx, row.mode)}  # last: TensorRT's calibrator takes minutes


def built(route: str, case: Case, mode: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Build a route in a process of its own; returns what it took.

    In int8 what was built for this row is kept, in case that the row could not be finished, and
    used if it was built with the same arguments.
    """
    kept, given = case.folder / f"{route}-{mode}.json", _named(asked, _OF_BUILD)
    if case.int8 and kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if known.pop("asked", None) == given:
            return known
    command = [sys.executable, "-m", "benchmarks.gpu.build", route, str(case.folder.parent)]
    command += ["--model", case.model, "--batch", str(case.batch), "--mode", mode]
    command += ["--workspace", str(asked.workspace)]
    command += ["--int8"] if case.int8 else []
    if asked.level is not None:
        command += ["--level", str(asked.level)]
    if asked.timings is not None:
        command += ["--timings", str(asked.timings)]
    if asked.timing_cache is not None:
        asked.timing_cache.mkdir(parents=True, exist_ok=True)
        kernels = "onnx" if route == "onnx" else "forward"
        command += ["--timing-cache", str(asked.timing_cache / f"{kernels}.timing")]
    found = _json_of(command)
    noted = f"{route} beside int8" if case.int8 and mode != "int8" else route
    row = Row(case.model, case.batch, mode, case.facts()["layers"])
    _keep_time(found, row, noted, asked.output, given)
    if case.int8:
        with atomic_path(kept) as path:
            path.write_text(json.dumps({**found, "asked": given}), encoding="utf-8")
    return found


def _named(asked: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in names}


def all_built(
    made: dict[str, tuple[str, str]], case: Case, asked: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Build all routes, Forward's beside the parser's if that was asked for, else in turn.

    Builds time kernels on the GPU. Two at once disturb each other alike.
    """
    found: dict[str, dict[str, Any]] = {}

    def build_all(names: Sequence[str]) -> None:
        for name in names:
            try:
                found[name] = built(made[name][0], case, made[name][1], asked)
            except BuildFailedError as error:
                found[name] = {"failed": str(error)}

    sides = [[name for name in made if name != "onnx"], ["onnx"]]
    with ThreadPoolExecutor(2 if asked.together else 1) as pool:
        list(pool.map(build_all, sides))
    return found


def _keep_time(
    found: dict[str, Any], row: Row, route: str, output: Path, asked: dict[str, Any]
) -> None:
    """Note the time of a build, for a run that is cut off and built again with times kept.

    What was built with other arguments was another build.
    """
    notes = output.with_name("builds.jsonl")
    alike = {"route": route, "date": host.today(), "asked": asked}
    note = rows.document("build", row, **alike, **found)
    earlier = [
        one["build_s"]
        for one in rows.read(notes)
        if rows.has([one], "build", row)
        and {name: one.get(name) for name in alike} == alike
        and one["timing cache"] != "warm"
    ]
    if found["timing cache"] == "warm" and earlier:
        found["again_s"], found["build_s"] = found["build_s"], earlier[0]
    rows.append(notes, note)


def _json_of(command: Sequence[str]) -> dict[str, Any]:
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        raise BuildFailedError(f"exit {told.returncode}: {(told.stderr or told.stdout)[-2000:]}")
    document: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return document


def measure(row: Row, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """One row: what builds took, latencies in turns, accuracy."""
    case = Case.of(folder, row)
    inputs, expected = case.read()
    found: dict[str, Any] = {}
    replays: dict[str, Replay] = {}
    library = build.library()
    made = routes(row, unasked=asked.unasked)
    found |= all_built(made, case, asked)
    for route, (made_by, mode) in made.items():
        if "failed" in found[route]:
            continue
        plan = (case.folder / f"{made_by}-{mode}.plan").read_bytes()
        names = found[route].pop("bindings", None) or onnx_route.names(case)
        feeds = list(zip(names["inputs"], inputs, strict=True))
        try:
            replays[route] = Replay(library, plan, feeds, names["outputs"])
        except ForwardError as error:
            found[route]["failed"] = str(error)
    calls: dict[str, Call] = {route: replay.recorded.once for route, replay in replays.items()}
    if "forward" in replays:
        try:
            listed = overhead.Calls(overhead.loaded(case, row.mode), inputs)
            calls[RUN], found[RUN] = listed.once, accuracy(listed.results, expected)
        except (ForwardError, TypeError, AttributeError) as error:
            found[RUN] = {"failed": f"{type(error).__name__}: {error}"}
    for route, rounds in in_turns(calls, asked.seconds).items():
        found[route]["rounds"] = [float(np.median(one)) for one in rounds]
        found[route] |= latencies([sample for one in rounds for sample in one])
    for route, replay in replays.items():
        replay.recorded.once()
        found[route] |= accuracy(replay.results(), expected)
        found[route] |= _on_device(replay, row.batch)
    return {
        "routes": {route: {k: v for k, v in kept.items() if k != "rounds"}
                   for route, kept in found.items()},
        "ratios": _ratios(found),
        "weights_mb": case.facts()["weights_mb"],
        "prepared": case.facts(),
    }  # fmt: skip


def _on_device(replay: Replay, batch: int) -> dict[str, float]:
    events = [replay.device_seconds() for _ in range(200)]
    count = max(10, int(0.2 / float(np.median(events))))
    burst = min(replay.recorded.burst(count) for _ in range(3))
    return {"event_ms": float(np.median(events)) * 1e3, "throughput": batch * count / burst}


def _ratios(found: dict[str, Any]) -> dict[str, list[float]]:
    rounds = {route: kept["rounds"] for route, kept in found.items() if "rounds" in kept}
    pairs = (
        ("forward", "onnx"),
        (RUN, "onnx"),
        (RUN, "forward"),
        ("forward", HALF),
        ("forward", UNASKED),
        (HALF, "onnx"),
    )
    return {f"{a} / {b}": ratio(rounds[a], rounds[b]) for a, b in pairs if {a, b} <= set(rounds)}


def _tiny(folder: Path) -> dict[str, Any]:
    """Peak of a process that builds one layer: what every build takes."""
    command = [sys.executable, "-m", "benchmarks.gpu.build", "tiny", str(folder)]
    try:
        return {"tiny_mb": _json_of(command)["host_peak_mb"]}
    except BuildFailedError as error:
        return {"tiny_failed": str(error)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line says; 3 if the budget ended before the rows did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], choices=rows.MODELS, help="models")
    parser.add_argument("--batch", nargs="*", type=int, default=[], choices=rows.BATCHES)
    parser.add_argument("--mode", nargs="*", default=[], choices=rows.MODES)
    parser.add_argument("--output", type=Path, default=Path("rows.jsonl"))
    parser.add_argument("--resume", action="store_true", help="skip rows that are in the output")
    parser.add_argument("--budget-seconds", type=float, default=float("inf"))
    parser.add_argument("--seconds", type=float, default=10, help="of calls per row")
    parser.add_argument("--timing-cache", type=Path, help="folder")
    parser.add_argument("--workspace", type=int, default=4096, help="MiB of scratch memory")
    parser.add_argument("--level", type=int, help="optimization level of both routes")
    parser.add_argument("--timings", type=int, help="of each kernel, in builds of both routes")
    parser.add_argument(
        "--overhead", action="store_true", help="measure that of run and run_list too"
    )
    parser.add_argument("--unasked", action="store_true",
                        help="in int8, also with no layer asking for half")  # fmt: skip
    parser.add_argument("--together", action="store_true", help="build both sides at once")
    parser.add_argument("--memory", action="store_true", help="measure that of a tiny build too")
    asked = parser.parse_args(arguments)
    end = time.monotonic() + asked.budget_seconds
    chosen = [
        Case.of(asked.folder, row).named(row)
        for row in rows.in_order(asked.only, asked.batch, asked.mode)
    ]
    if asked.resume:
        done = rows.read(asked.output)
        chosen = [row for row in chosen if not rows.has(done, "tensorrt", row)]
    library = build.library()
    if asked.timing_cache is not None and (told := needs.missing_for_times(library)):
        print(f"{told}: leave --timing-cache out", file=sys.stderr)
        return needs.MISSING
    facts = host.facts(
        **{library.flavour: library.version, "cuda-bindings": host.version("cuda-bindings")}
    )
    for row in chosen:
        if time.monotonic() >= end:
            return 3
        start = time.monotonic()
        more = measure(row, asked.folder, asked)
        if asked.memory:
            more |= _tiny(asked.folder)
        if asked.overhead and "failed" not in more["routes"]["forward"]:
            more["overhead"] = overhead.measure(row, asked.folder)
        failures = {name: one["failed"] for name, one in more["routes"].items() if "failed" in one}
        if "forward" in failures:  # the row is to be measured again
            more["failed"] = failures["forward"]
        seconds = time.monotonic() - start
        more["asked"] = _named(asked, _RECORDED) | {"routes": list(more["routes"])}
        if PLUGINS in os.environ:
            more["asked"]["plugins"] = os.environ[PLUGINS]
        rows.append(
            asked.output, rows.document("tensorrt", row, machine=facts, seconds=seconds, **more)
        )
        for name, text in failures.items():
            print(f"{row}, {name}: {text}", flush=True)
        print(f"{row}: {json.dumps(more['ratios'])} in {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
