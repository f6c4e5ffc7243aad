"""What removing padding gains: ``python -m benchmarks.gpu.padding FOLDER --share 0.5``.

BERT-base on the files that :mod:`benchmarks.gpu.prepare` wrote, with a mask that keeps a share of
the places: Forward's engine as it is, the same with ``variable_length``, and the ONNX parser's, in
turns in one process, each a recorded graph over buffers that stay. Counted are the launches alone:
which rows are tokens is found on the host before each run, and ``host_us`` says what that takes.
``--plugins NAMES`` adds a route without padding whose build has ``FWD_BERT_PLUGINS`` set to these
names; it can be given more than once. Such a route that cannot be built is left out, and told. The
last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import lengths
from benchmarks.gpu import build, host, needs, onnx_route
from benchmarks.gpu.case import Case, accuracy
from benchmarks.gpu.packs import plugins
from benchmarks.gpu.replay import Replay
from benchmarks.gpu.rounds import in_turns
from benchmarks.gpu.rows import BATCHES
from benchmarks.summary import ratio
from fwd_core import Builder
from fwd_core.ir.serialize import load
from fwd_plugins_bert.packing import packed_rows
from fwd_plugins_bert.tensorrt.choice import VARIABLE, chosen

ROUTES = ("forward", "packed", "onnx")
#: Before the names of plugins, in routes that ask for some.
_WITH = "packed with "
_HOST_CALLS = 100
#: The input of BERT that is its mask, as the traced model has them.
MASK = 1


def file_of(case: Case, route: str, mode: str) -> Path:
    """Where the engine of a route is; other files of it differ in their suffix."""
    if route == "packed":  # with what the environment says, or by default
        route = _WITH + ",".join(chosen())
    name = route.replace(_WITH, "packed+").replace(",", "+")
    return case.folder / f"padding-{name}-{mode}.json"


def build_route(route: str, case: Case, settings: onnx_route.Settings) -> None:
    """Build one engine and leave its plan and the names of its inputs in the case's folder."""
    chosen = build.library()
    start, used = time.perf_counter(), list[str]()
    if route == "onnx":
        plan = onnx_route.build(chosen, case.onnx, settings, case)
        names: dict[str, Any] = onnx_route.names(case)
    else:
        if route.startswith(_WITH):
            os.environ[VARIABLE] = route.removeprefix(_WITH)  # before packs are asked
        packs = plugins()
        graph = load(case.graph, packs.operators)
        options = build.forward_options(chosen, settings)
        if route != "forward":
            options["variable_length"] = graph.inputs[MASK].name
        builder = Builder(backend="tensorrt", mode=settings.mode, options=options, plugins=packs)
        engine = builder.compile(graph)
        plan, names = engine.plan.payload(), dict(engine.plan.manifest["bindings"])
        used = list(engine.manifest.get("plugins", ()))
    path = file_of(case, route, settings.mode)
    path.with_suffix(".plan").write_bytes(plan)
    facts = {"names": names, "plugins": used, "build_s": time.perf_counter() - start}
    path.write_text(json.dumps(facts), encoding="utf-8")


def measure(
    case: Case, routes: Sequence[str], mode: str, share: float, seconds: float
) -> dict[str, Any]:
    """Medians, ratios of rounds, and how far real tokens are from those of the padded engine."""
    inputs, _ = case.read()
    batch, length = inputs[MASK].shape
    kept = lengths.kept(batch, length, share)
    given = [kept.astype(one.dtype) if i == MASK else one for i, one in enumerate(inputs)]
    made = packed_rows(given[MASK])
    spent = []
    for _ in range(_HOST_CALLS):
        start = time.perf_counter()
        packed_rows(given[MASK])
        spent.append(time.perf_counter() - start)
    found: dict[str, Any] = {"host_us": float(np.median(spent)) * 1e6, "host_calls": len(spent)}
    replays: dict[str, Replay] = {}
    used: dict[str, list[str]] = {}
    for route in routes:
        path = file_of(case, route, mode)
        facts = json.loads(path.read_text(encoding="utf-8"))
        names, used[route] = facts["names"], facts.get("plugins", [])
        arrays = [*given, *made] if route.startswith("packed") else given
        feeds = list(zip(names["inputs"], arrays, strict=True))
        plan = path.with_suffix(".plan").read_bytes()
        replays[route] = Replay(build.library(), plan, feeds, names["outputs"])
    rounds = in_turns({name: one.recorded.once for name, one in replays.items()}, seconds)
    medians = {
        name: [float(np.median(one)) for one in kept_back] for name, kept_back in rounds.items()
    }
    hidden = {}
    for name, replay in replays.items():
        replay.recorded.once()
        hidden[name] = replay.results()[0][kept]
    found["routes"] = {
        name: {
            "median_ms": float(np.median(medians[name])) * 1e3,
            **accuracy([hidden[name]], [hidden["forward"]]),
            "plugins": used[name],
        }
        for name in routes
    }
    without = [name for name in routes if name.startswith("packed")]
    pairs = [(name, other) for name in without for other in ("forward", "onnx")]
    pairs.append(("forward", "onnx"))
    found["ratios"] = {f"{a} / {b}": ratio(medians[a], medians[b]) for a, b in pairs}
    return {**found, "share": float(kept.mean())}


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what is not there, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=32, choices=BATCHES)
    parser.add_argument("--mode", default="float16", choices=("float16", "float32"))
    parser.add_argument("--share", type=float, default=0.5, help="of the places that are tokens")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--workspace", type=int, default=4096, help="MiB")
    parser.add_argument("--plugins", action="append", default=[], help="as packed,skip")
    told = "build one by one, so that no build disturbs what another measures"
    parser.add_argument("--in-turns", action="store_true", help=told)
    parser.add_argument("--route", help="build this alone")
    asked = parser.parse_args(arguments)
    case = Case(asked.folder, "bert_base", asked.batch)
    if asked.route:
        if asked.route not in ROUTES and not asked.route.startswith(_WITH):
            parser.error(f"there is no route {asked.route!r}: {', '.join((*ROUTES, _WITH))}NAMES")
        settings = onnx_route.Settings(asked.mode, asked.workspace)
        build_route(asked.route, case, settings)
        return
    if told := needs.missing("tensorrt"):
        raise SystemExit(told)
    shared = [str(asked.folder), "--batch", str(asked.batch), "--mode", asked.mode]
    shared += ["--workspace", str(asked.workspace)]
    routes = [*ROUTES, *(_WITH + names for names in asked.plugins)]
    missing = [route for route in routes if not file_of(case, route, asked.mode).exists()]
    command = [sys.executable, "-m", "benchmarks.gpu.padding", *shared, "--route"]
    if asked.in_turns:
        codes = [subprocess.call([*command, route]) for route in missing]
    else:
        running = [subprocess.Popen([*command, route]) for route in missing]
        codes = [one.wait() for one in running]  # all of them, or some would be left behind
    failed = [route for route, code in zip(missing, codes, strict=True) if code]
    if not {"forward", "onnx"}.isdisjoint(failed):
        raise SystemExit(f"builds failed, see above: {', '.join(failed)}")
    routes = [route for route in routes if route not in failed]
    row = {"model": "bert_base", "batch": asked.batch, "mode": asked.mode}
    row["plugins"] = ",".join(chosen())
    library = build.library()
    machine = host.facts(**{library.flavour: library.version})
    measured = measure(case, routes, asked.mode, asked.share, asked.seconds)
    print(json.dumps({**row, "machine": machine, "failed": failed, **measured}), flush=True)
    if failed:
        raise SystemExit(f"measured without {', '.join(failed)}, whose builds failed: see above")


if __name__ == "__main__":
    main()
