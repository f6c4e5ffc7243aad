"""Int8 beside float and beside the peers' int8: ``python -m benchmarks.cpu.int8``.

Latency as :mod:`.latency` measures it, how far each route is from torch in float32, and what
calibrating costs (:mod:`.calibrating`). Every route in int8 is calibrated with the same 64 inputs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cpu import calibrating
from benchmarks.cpu.int8_routes import ROUTES as INT8_ROUTES
from benchmarks.cpu.latency import measure
from benchmarks.machine import write
from benchmarks.models import MODELS

#: What int8 is compared with.
FLOATS = ("forward float32", "forward float16", "openvino", "onnxruntime")
ROUTES = (*FLOATS, *INT8_ROUTES)
OURS = ("forward int8",)


def show(model: str, rows: dict[str, Any], console: Console) -> None:
    """A table of one model."""
    table = Table(title=f"{model}, batch 1")
    for title in ("route", "computes in"):
        table.add_column(title)
    for title in ("median ms", f"{OURS[0]} / this", "SQNR dB", "cosine", "build s", "peak MB"):
        table.add_column(title, justify="right")
    for route, row in rows.items():
        if "failed" in row:
            table.add_row(route, row["failed"])
            continue
        found = row.get(f"{OURS[0]} / this")
        table.add_row(
            route,
            row["precision"],
            f"{row['median_ms']:.2f}",
            "" if found is None else "{:.3f} [{:.3f}, {:.3f}]".format(*found),
            f"{row['sqnr_db']:.1f}",
            f"{row['cosine']:.6f}",
            f"{row['build_s']:.1f}",
            f"{row['rss_mb']:.0f}",
        )
    console.print(table)


def main() -> None:
    """Measure what the command line says and print tables; ``--json`` writes the numbers too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--routes", nargs="*", default=list(ROUTES), choices=ROUTES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60, help="time of calls per model")
    parser.add_argument("--images", type=int, default=64, help="to calibrate ResNet-50 with")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    console = Console(width=180)
    results: dict[str, Any] = {"models": {}}

    def keep() -> None:
        if arguments.json:
            write(arguments.json, results)

    for model in arguments.models:
        rows = measure(
            *(model, arguments.routes, arguments.threads, arguments.seconds),
            ours=OURS,
        )
        results["models"][model] = rows
        show(model, rows, console)
        keep()
    if arguments.images:
        results["calibrating"] = calibrating.measure(
            "resnet50", arguments.images, arguments.threads
        )
        console.print(calibrating.told(results["calibrating"]))
        keep()


if __name__ == "__main__":
    main()
