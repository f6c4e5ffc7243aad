"""What settings do to one engine: ``python -m benchmarks.gpu.variants DIR onnx forward:level=5``.

Engines of one case on the files that :mod:`benchmarks.gpu.prepare` wrote, built one after the other
in processes of their own, then run in turns in one. A variant is a route, ``forward`` or ``onnx``,
and settings of it behind a colon, separated by commas:

- ``level=5``, ``timings=8`` and ``sources=cublas+cublas_lt`` are for both routes: the optimization
  level, how often each kernel is timed, and where kernels may come from;
- ``mode=float16`` builds either in another mode than ``--mode``, as to set int8 beside half;
- ``plugins=skip+qkv`` sets ``FWD_BERT_PLUGINS`` for the build of ``forward``;
- any other is an option of Forward's backend, as ``empty_sequences=zeros``.

The first variant is what the others are compared with. A build that fails is told, and left out.
What is printed is a line of JSON for each variant.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import build, host, needs, onnx_route
from benchmarks.gpu.case import Case, accuracy
from benchmarks.gpu.replay import Replay
from benchmarks.gpu.rounds import in_turns
from benchmarks.gpu.rows import BATCHES, MODELS, MODES
from benchmarks.summary import ratio

PLUGINS = "FWD_BERT_PLUGINS"
_EVENTS = 200


@dataclass
class Variant:
    """One way to build.

    Attributes:
        name: As it was written.
        route: ``forward`` or ``onnx``.
        shared: What both routes have.
        mode: In place of that of the other variants, if it has one.
        options: Of Forward's backend.
        plugins: What the environment says for the build, if anything.
    """

    name: str
    route: str
    shared: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    plugins: str | None = None
    mode: str | None = None

    @classmethod
    def read(cls, name: str) -> Variant:
        """The variant of a name.

        Raises:
            ArgumentTypeError: There is no such route, or the route has no such setting.
        """
        error = argparse.ArgumentTypeError
        route, _, rest = name.partition(":")
        if route not in build.ROUTES:
            raise error(f"there is no route {route!r}: {', '.join(build.ROUTES)}")
        made = cls(name, route)
        for one in filter(None, rest.split(",")):
            key, _, value = one.partition("=")
            value = value.replace("+", ",")
            if key in ("level", "timings"):
                if not value.isdigit():
                    raise error(f"{name!r}: {key} is a whole number, not {value!r}")
                made.shared[key] = int(value)
            elif key == "sources":
                made.shared[key] = tuple(value.upper().split(","))
            elif key == "mode":
                if value not in MODES:
                    raise error(f"{name!r}: there is no mode {value!r}: {', '.join(MODES)}")
                made.mode = value
            elif route == "onnx":
                raise error(f"{name!r}: the ONNX route has no {key!r}")
            elif key == "plugins":
                made.plugins = value
            else:
                made.options[key] = _value(value)
        return made

    def settings(self, mode: str, workspace: int) -> onnx_route.Settings:
        """How it is built, beside variants of a mode; the workspace is in MiB."""
        return onnx_route.Settings(self.mode or mode, workspace, **self.shared)

    def file(self, case: Case, mode: str) -> Path:
        """What is kept of its build; the engine lies beside it."""
        plain = re.sub(r"[^\w=.+-]+", "_", self.name)
        return case.folder / f"variant-{plain}-{self.mode or mode}.json"


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def make(variant: Variant, case: Case, settings: onnx_route.Settings) -> None:
    """Build one engine; leave its plan and what is known of it in the case's folder."""
    if variant.plugins is not None:
        os.environ[PLUGINS] = variant.plugins  # before packs are asked
    chosen, start = build.library(), time.perf_counter()
    if variant.route == "onnx":
        plan = onnx_route.build(chosen, case.onnx, settings, case)
        names: dict[str, Any] = onnx_route.names(case)
    else:
        if settings.mode == "int8":
            build.calibrate(chosen, case, settings)
        engine = build.build_forward(chosen, case, settings, **variant.options)
        plan, names = engine.plan.payload(), dict(engine.plan.manifest["bindings"])
    file = variant.file(case, settings.mode)
    file.with_suffix(".plan").write_bytes(plan)
    facts = {"names": names, "build_s": time.perf_counter() - start, "asked": _asked(settings)}
    file.write_text(json.dumps(facts), encoding="utf-8")


def _asked(settings: onnx_route.Settings) -> list[Any]:
    """What a build depends on beside its name."""
    return [settings.workspace, os.environ.get(PLUGINS)]


def is_built(variant: Variant, case: Case, settings: onnx_route.Settings) -> bool:
    """Whether its engine is there, built with the same scratch memory and environment."""
    file = variant.file(case, settings.mode)
    if not file.exists():
        return False
    named = os.environ.get(PLUGINS) if variant.plugins is None else variant.plugins
    wanted = [settings.workspace, named]
    return bool(json.loads(file.read_text(encoding="utf-8")).get("asked") == wanted)


def measure(
    case: Case, variants: Sequence[Variant], mode: str, seconds: float
) -> list[dict[str, Any]]:
    """Times and accuracy of each, and its ratio to the first."""
    inputs, expected = case.read()
    replays: dict[str, Replay] = {}
    facts: dict[str, dict[str, Any]] = {}
    for one in variants:
        file = one.file(case, mode)
        facts[one.name] = json.loads(file.read_text(encoding="utf-8"))
        names = facts[one.name].pop("names")
        facts[one.name].pop("asked")
        plan = file.with_suffix(".plan").read_bytes()
        feeds = list(zip(names["inputs"], inputs, strict=True))
        replays[one.name] = Replay(build.library(), plan, feeds, names["outputs"])
    rounds = in_turns({name: one.recorded.once for name, one in replays.items()}, seconds)
    medians = {name: [float(np.median(one)) for one in kept] for name, kept in rounds.items()}
    found = []
    for name, replay in replays.items():
        replay.recorded.once()
        results = replay.results()
        events = [replay.device_seconds() for _ in range(_EVENTS)]
        found.append(
            {
                "variant": name,
                "median_ms": float(np.median(medians[name])) * 1e3,
                "device_ms": float(np.median(events)) * 1e3,
                "ratio": ratio(medians[name], medians[variants[0].name]),
                "over": variants[0].name,
                **accuracy(results, expected),
                **facts[name],
            }
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what is not there, measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("variants", nargs="+", type=Variant.read)
    parser.add_argument("--model", default="bert_base", choices=MODELS)
    parser.add_argument("--batch", type=int, default=32, choices=BATCHES)
    parser.add_argument("--mode", default="float16", choices=MODES)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--workspace", type=int, default=4096, help="MiB")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a build")
    parser.add_argument("--build", action="store_true", help="build the one variant, no more")
    asked = parser.parse_args(arguments)
    case = Case(asked.folder, asked.model, asked.batch, int8=asked.mode == "int8")
    if asked.build:
        (variant,) = asked.variants
        make(variant, case, variant.settings(asked.mode, asked.workspace))
        return
    if told := needs.missing("tensorrt"):
        raise SystemExit(told)
    shared = [str(asked.folder), "--build", "--model", asked.model, "--batch", str(asked.batch)]
    shared += ["--mode", asked.mode, "--workspace", str(asked.workspace)]
    built = []
    for variant in asked.variants:
        settings = variant.settings(asked.mode, asked.workspace)
        if not is_built(variant, case, settings):
            command = [sys.executable, "-m", "benchmarks.gpu.variants", *shared, variant.name]
            try:
                code = subprocess.run(command, timeout=asked.limit, check=False).returncode
            except subprocess.TimeoutExpired:
                code = -1
            if code:
                print(json.dumps({"variant": variant.name, "failed": code}), flush=True)
                continue
        built.append(variant)
    if not built:
        raise SystemExit("no variant was built: see above")
    library = build.library()
    machine = host.facts(**{library.flavour: library.version})
    row = {"model": asked.model, "layers": case.facts()["layers"], "batch": asked.batch}
    row |= {"mode": asked.mode, "machine": machine}
    for one in measure(case, built, asked.mode, asked.seconds):
        print(json.dumps({**row, **one}), flush=True)


if __name__ == "__main__":
    main()
