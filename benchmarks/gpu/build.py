"""One build in a process of its own: ``python -m benchmarks.gpu.build ROUTE FOLDER …``.

A process of its own, so that its peak of memory is this build's, and a library that aborts ends
no other route. Writes the engine's bytes to ``ROUTE-MODE.plan`` and, for Forward, the engine to
``forward-MODE.engine``; the last line of standard output is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu import looks, onnx_route
from benchmarks.gpu.case import Case
from benchmarks.gpu.host import MIB, memory
from benchmarks.gpu.onnx_route import Settings
from benchmarks.gpu.packs import plugins
from benchmarks.gpu.rows import BATCHES, MODELS, MODES
from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt.context import TensorRTLowering
from fwd_core.backends.tensorrt.library import EXTRAS, FLAVOURS, Library, NotInstalledError, load
from fwd_core.backends.tensorrt.logger import logger
from fwd_core.ir import DType, Graph, TensorType, ops
from fwd_core.plugins import Plugins
from fwd_core.plugins.advice import pip_install
from fwd_core.quantize import Calibrator

ROUTES = ("forward", "onnx")
#: Forward with no layer asking for a precision: what asking costs beside int8, where a weakly typed
#: network may compute any layer in half, as the parser's may.
UNASKED = "unasked"


def library() -> Library:
    """The first flavour that is installed, as Forward's backend chooses it.

    Raises:
        NotInstalledError: None is.
    """
    for flavour in FLAVOURS:
        try:
            return load(flavour)
        except NotInstalledError:
            continue
    raise NotInstalledError(
        f"neither {' nor '.join(FLAVOURS)} is installed", hint=pip_install(EXTRAS["tensorrt"])
    )


def forward_options(chosen: Library, settings: Settings) -> dict[str, Any]:
    """Options of the backend that mean what the settings mean to the parser's route."""
    from fwd_core.backends.tensorrt.options import TensorRTOptions

    known = {field.name for field in dataclasses.fields(TensorRTOptions)}
    options: dict[str, Any] = {"flavour": chosen.flavour, "workspace": settings.workspace * MIB}
    if settings.level is not None:
        options["optimization_level"] = settings.level
    if settings.timings is not None:
        options["avg_timing_iterations"] = settings.timings
    if settings.sources is not None:
        options["tactic_sources"] = settings.sources
    if "timing_cache" in known and getattr(chosen.features, "timing_cache", False):
        kept = settings.timing_cache
        options["timing_cache"] = "off" if kept is None else str(kept)
    return options


def build_forward(chosen: Library, case: Case, settings: Settings, **more: Any) -> Engine:
    """Forward's engine from the graph file; in int8 with what :func:`calibrate` found.

    Args:
        chosen: The flavour.
        case: Where the files are.
        settings: How to build.
        **more: Further options of the backend.
    """
    from fwd_core.ir.serialize import load as load_graph

    packs = plugins()
    options = {**forward_options(chosen, settings), **more}
    builder = Builder(
        backend="tensorrt",
        mode=settings.mode,
        options=options,
        plugins=packs,
        calibrator=Calibrator(cache=case.cache("forward")) if settings.mode == "int8" else None,
    )
    return builder.compile(load_graph(case.graph, packs.operators))


def calibrate(chosen: Library, case: Case, settings: Settings) -> float | None:
    """Let Forward find ranges; returns the seconds that it took, ``None`` if it had found them.

    On the GPU if there is one, else on a backend that runs here. What runs is float32, built
    quickly: it runs a few times.
    """
    from fwd_core.ir.serialize import load as load_graph

    if case.cache("forward").exists():
        return None
    packs = plugins()
    options = forward_options(chosen, dataclasses.replace(settings, level=0, timing_cache=None))
    builder = Builder(backend="tensorrt", options=options, plugins=packs)
    start = time.perf_counter()
    Calibrator(case.calibration(1), cache=case.cache("forward")).calibrate(
        load_graph(case.calibration_graph, packs.operators), builder
    )
    return time.perf_counter() - start


def build_onnx(chosen: Library, case: Case, settings: Settings) -> tuple[Any, Any]:
    """The parser's plan, and its engine where there is a GPU to load it."""
    from fwd_core.backends.tensorrt.runtime import device

    typed = settings.mode == "float16" and not onnx_route.narrows(chosen)
    plan = onnx_route.build(chosen, case.half_onnx if typed else case.onnx, settings, case)
    if device.find()[0] is None:
        return plan, None
    runtime = chosen.trt.Runtime(logger(chosen.trt))
    return plan, (runtime, runtime.deserialize_cuda_engine(plan))


def _unconstrained(_self: TensorRTLowering, _layer: Any) -> None:
    """Stands for a method of every lowering in this process."""


def tiny(chosen: Library) -> None:
    """Build a network of one layer, which loads what every build loads."""
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (1, 8)))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    options = {"flavour": chosen.flavour}
    packs = Plugins({"core": core_pack})
    Builder(backend="tensorrt", options=options, plugins=packs).compile(graph).close()


def run(route: str, case: Case, settings: Settings) -> dict[str, Any]:
    """Build once and tell what it took."""
    kept = _size(settings.timing_cache)
    chosen = library()
    first = chosen.trt.Builder(logger(chosen.trt))  # loads the libraries and starts CUDA
    packs = plugins()
    base = memory()
    del first, packs
    facts: dict[str, Any] = {}
    if settings.mode == "int8" and route != "onnx":
        took = calibrate(chosen, case, settings)
        facts |= {} if took is None else {"calibrate_s": took}
    elif settings.mode == "int8":
        facts["calibrates"] = not case.cache("onnx").exists()  # inside the build
    if route == UNASKED:
        TensorRTLowering._constrain = _unconstrained  # type: ignore[method-assign, assignment]
    if settings.detailed:
        looks.tell_types()
    start = time.perf_counter()
    if route != "onnx":
        engine = build_forward(chosen, case, settings)
        seconds, peak = time.perf_counter() - start, memory()["peak"]
        plan = engine.plan.payload()
        engine.save(case.folder / f"{route}-{settings.mode}.engine")
        facts["bindings"] = dict(engine.plan.manifest["bindings"])
    else:
        plan, loaded = build_onnx(chosen, case, settings)
        seconds, peak = time.perf_counter() - start, memory()["peak"]
        del loaded
    (case.folder / f"{route}-{settings.mode}.plan").write_bytes(plan)
    facts |= {
        "build_s": seconds,
        "engine_mb": memoryview(plan).nbytes / MIB,
        "timing cache": _state(kept, _size(settings.timing_cache)),
        "host_peak_mb": peak,
        "host_base_mb": base["peak"],
        "host_x_weights": (peak - base["peak"]) / case.facts()["weights_mb"],
    }
    if settings.detailed:  # last: nothing of it is measured
        again = partial(build_forward, chosen, case, settings, layers=True)
        facts |= looks.look(chosen, plan, None if route == "onnx" else again)
    return facts


def _size(file: Path | None) -> int:
    return file.stat().st_size if file is not None and file.exists() else 0


def _state(before: int, after: int) -> str:
    """``warm`` if all times were known, ``cold`` if none were, else ``mixed``."""
    if not before:
        return "cold"
    return "warm" if before == after else "mixed"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("route", choices=(*ROUTES, UNASKED, "tiny"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=MODELS[0], choices=MODELS)
    parser.add_argument("--batch", type=int, default=1, choices=BATCHES)
    parser.add_argument("--mode", default="float32", choices=MODES)
    parser.add_argument("--int8", action="store_true",
                        help="of the files that int8 is measured with")  # fmt: skip
    parser.add_argument("--workspace", type=int, default=4096, help="MiB")
    parser.add_argument("--level", type=int, help="optimization level")
    parser.add_argument("--timings", type=int, help="of each kernel")
    parser.add_argument("--timing-cache", type=Path, help="file")
    asked = parser.parse_args(arguments)
    if asked.route == "tiny":
        tiny(library())
        print(json.dumps({"host_peak_mb": memory()["peak"]}), flush=True)
        return
    settings = Settings(asked.mode, asked.workspace, asked.level, asked.timing_cache, asked.timings)
    int8 = asked.int8 or asked.mode == "int8"
    case = Case(asked.folder, asked.model, asked.batch, int8=int8)
    print(json.dumps(run(asked.route, case, settings)), flush=True)


if __name__ == "__main__":
    main()
