"""Accuracy in int8 on real data, in two steps that share files: as :mod:`benchmarks.digits`.

``python -m benchmarks.gpu.digits prepare FOLDER`` needs torch and scikit-learn and no GPU: it
trains the models and writes graphs, images and what torch computes, less than 1 MB.
``python -m benchmarks.gpu.digits measure FOLDER --json FILE`` needs a backend that runs there, and
neither of both.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.gpu import host
from benchmarks.gpu.looks import products
from benchmarks.gpu.packs import plugins
from benchmarks.summary import sqnr
from fwd_core import Builder, files
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.errors import ForwardError
from fwd_core.files import atomic_path
from fwd_core.ir import Graph
from fwd_core.ir.serialize import load, save
from fwd_core.quantize import CalibrationCache, Calibrator, Histogram, algorithm_of
from fwd_core.quantize.collect import watch
from fwd_core.quantize.placement import quantizable

MODELS = ("cnn", "transformer")
ALGORITHMS = ("entropy", "entropy_2", "minmax", "percentile", "mse")
#: Points of accuracy that int8 may lose against float32.
ALLOWED = 0.5
_BATCH, _BATCHES = 64, 8
_FORMAT, _VERSION = "forward-digits", 1
_ARRAYS = "digits.safetensors"


def prepare(folder: Path, epochs: int | None = None) -> None:
    """Train both models and write them with the data."""
    import torch

    from benchmarks.digits import Digits, trained
    from fwd_ops_torch.importers import jit

    folder.mkdir(parents=True, exist_ok=True)
    digits = Digits.load()
    count = len(digits.held_out)
    arrays: dict[str, NDArray[Any]] = {
        "calibration": digits.images[: _BATCH * _BATCHES].numpy(),
        "images": digits.held_out.numpy(),
        "labels": digits.held_out_labels.numpy(),
    }
    for name in MODELS:
        model = trained(name, digits, epochs)
        with torch.inference_mode():
            arrays[f"scores.{name}"] = model(digits.held_out).numpy()
        example = (digits.images[:_BATCH],)
        traced = jit.trace(model, example, check=False)
        builder = Builder(plugins=plugins())
        (port,) = [value.name for value in builder.import_model(traced, example).inputs]
        sizes = {port: {0: ("batch", 1, _BATCH, count)}}
        with atomic_path(folder / f"{name}.graph") as path:
            save(builder.import_model(traced, example, dynamic=sizes), path)
    files.write(folder / _ARRAYS, {}, arrays, format=_FORMAT, version=_VERSION)


def caches(
    graph: Graph, data: NDArray[Any], backend: str, algorithms: Sequence[str]
) -> dict[str, CalibrationCache]:
    """Ranges by each algorithm, of what was seen in one pass."""
    packs = plugins()
    histograms = {name: Histogram(name) for name in quantizable(graph)}

    def look(name: str, array: NDArray[Any]) -> None:
        histograms[name].update(array)

    builder = Builder(backend=backend, plugins=packs)
    batches = [data[i : i + _BATCH] for i in range(0, len(data), _BATCH)]
    watch(graph, histograms, batches, builder, look, phase="look", detail="", to="to look at")
    found = {}
    for algorithm in algorithms:
        chosen = algorithm_of(packs, algorithm)
        ranges = {name: chosen.amax(one) for name, one in histograms.items()}
        found[algorithm] = CalibrationCache(ranges, algorithm)
    return found


def measure(
    folder: Path, name: str, backend: str, algorithms: Sequence[str] = ALGORITHMS
) -> dict[str, Any]:
    """All modes of one model, as :func:`benchmarks.digits.measure` tells them."""
    packs = plugins()
    _, arrays = files.read(folder / _ARRAYS, format=_FORMAT, version=_VERSION)

    def graph() -> Graph:
        return load(folder / f"{name}.graph", packs.operators)

    ranges = caches(graph(), arrays["calibration"], backend, algorithms)
    wanted: list[tuple[str, str | None]] = [("float32", None), ("float16", None)]
    rows: dict[str, Any] = {}
    for mode, algorithm in [*wanted, *(("int8", one) for one in algorithms)]:
        title = mode if algorithm is None else f"{mode} {algorithm}"
        calibrator = None if algorithm is None else Calibrator(cache=ranges[algorithm])
        layers = {"layers": True} if backend == "tensorrt" else {}
        builder = Builder(
            backend=backend, mode=mode, options=layers, plugins=packs, calibrator=calibrator
        )
        start = time.perf_counter()
        try:
            engine = builder.compile(graph())
        except ForwardError as error:  # a CPU without a half type
            rows[title] = {"failed": str(error)}
            continue
        with engine:
            seconds = time.perf_counter() - start
            (scores,) = engine.run_list([arrays["images"]])
            rows[title] = {
                "accuracy": 100.0 * float((scores.argmax(1) == arrays["labels"]).mean()),
                "sqnr_db": sqnr(scores, arrays[f"scores.{name}"]),
                "precision": str(engine.manifest["compute"]),
                "build_s": seconds,
            }
            if told := engine.manifest.get("layers"):
                rows[title] |= products([CompiledLayer.from_json(one) for one in told])
    exact = rows["float32"].get("accuracy")
    for row in rows.values():
        if exact is not None and "failed" not in row:
            row["drop"] = exact - row["accuracy"]
    return rows


def lines(name: str, rows: Mapping[str, Any]) -> list[str]:
    """A line for each mode."""
    told = [f"digits, {name}:"]
    for mode, row in rows.items():
        if "failed" in row:
            told.append(f"  {mode:<17} {row['failed']}")
            continue
        drop = row.get("drop", float("nan"))
        held = "" if drop <= ALLOWED else f"  MORE THAN {ALLOWED} POINTS LOST"
        told.append(
            f"  {mode:<17} {row['accuracy']:6.2f} %, {drop:+.2f} points lost, "
            f"{row['sqnr_db']:.1f} dB, products {row.get('products', '')}{held}"
        )
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, or measure; 1 if a mode failed or int8 loses more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("prepare", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS)
    parser.add_argument("--algorithms", nargs="*", default=list(ALGORITHMS), choices=ALGORITHMS)
    parser.add_argument("--backend", default="tensorrt")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args(arguments)
    if asked.step == "prepare":
        prepare(asked.folder)
        return 0
    versions = plugins().backends[asked.backend].availability().versions
    results, good = {}, True
    for name in asked.models:
        results[name] = rows = measure(asked.folder, name, asked.backend, asked.algorithms)
        print("\n".join(lines(name, rows)), flush=True)
        good = good and all(row.get("drop", float("inf")) <= ALLOWED for row in rows.values())
        if asked.json:
            document = {
                "machine": host.facts(**versions),
                "backend": asked.backend,
                "results": results,
            }
            asked.json.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
