"""Latency of Forward beside its peers, in one run: ``python -m benchmarks.cpu.latency``.

Every route runs in a process of its own, with the same model, weights and inputs. Routes take
turns in short rounds, in an order that is drawn anew for each round, so that drift of the machine
meets all of them alike. Reported are medians, and the ratio to Forward round by round with a 95 %
bootstrap interval of its median.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.cpu.routes import ROUTES
from benchmarks.machine import write
from benchmarks.models import MODELS
from benchmarks.summary import ratio

OURS = ("forward float32", "forward float16")


class Worker:
    """One route's process."""

    def __init__(self, model: str, route: str, threads: int) -> None:
        self.route = route
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cpu.worker", model, route, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.rounds: list[float] = []
        self.facts: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, told = self.process.communicate()
            raise RuntimeError(f"route {self.route} failed:\n{told[-2000:]}")
        document: dict[str, Any] = json.loads(line)
        return document

    def run(self, count: int) -> list[float]:
        """Latencies of some calls in a row, in seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"run": count}) + "\n")
        self.process.stdin.flush()
        times: list[float] = self.read()["times"]
        return times

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()


def measure(
    model: str,
    routes: Sequence[str],
    threads: int,
    seconds: float,
    ours: Sequence[str] = OURS,
) -> dict[str, Any]:
    """All routes on one model; those of ours are compared with each."""
    workers = []
    failures: dict[str, Any] = {}
    for route in routes:  # one after the other: building takes all cores
        worker = Worker(model, route, threads)
        worker.facts = worker.read()
        if "failed" in worker.facts:
            failures[route] = worker.facts
            worker.close()
            continue
        worker.run(5)
        workers.append(worker)
    order = random.Random(0)
    counts = {worker: max(1, int(0.1 / np.median(worker.run(3)))) for worker in workers}
    spent = 0.0
    while spent < seconds:
        for worker in order.sample(workers, len(workers)):
            times = worker.run(counts[worker])
            worker.rounds.append(float(np.median(times)))
            spent += sum(times)
    result = {worker.route: _row(worker, workers, ours) for worker in workers}
    for worker in workers:
        worker.close()
    return result | failures


def _row(worker: Worker, workers: Sequence[Worker], ours: Sequence[str]) -> dict[str, Any]:
    rounds = np.array(worker.rounds)
    row: dict[str, Any] = {**worker.facts, "median_ms": float(np.median(rounds)) * 1e3}
    row["rounds"] = len(rounds)
    for other in workers:
        if other.route in ours:
            row[f"{other.route} / this"] = ratio(np.array(other.rounds), rounds)
    return row


def show(model: str, rows: dict[str, Any], console: Console) -> None:
    """A table of one model."""
    table = Table(title=f"{model}, batch 1")
    for title in ("route", "computes in", "median ms", *(f"{ours} / this" for ours in OURS)):
        table.add_column(title, justify="left" if title in ("route", "computes in") else "right")
    for column in ("max error", "cosine", "build s", "peak MB"):
        table.add_column(column, justify="right")
    for route, row in rows.items():
        if "failed" in row:
            table.add_row(route, row["failed"])
            continue
        ratios = [
            "{:.3f} [{:.3f}, {:.3f}]".format(*row[f"{ours} / this"])
            if f"{ours} / this" in row
            else ""
            for ours in OURS
        ]
        table.add_row(
            route,
            row["precision"],
            f"{row['median_ms']:.2f}",
            *ratios,
            f"{row['error']:.1e}",
            f"{row['cosine']:.6f}",
            f"{row['build_s']:.2f}",
            f"{row['rss_mb']:.0f}",
        )
    console.print(table)


def main() -> None:
    """Measure what the command line says and print tables; ``--json`` writes the numbers too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--routes", nargs="*", default=list(ROUTES), choices=list(ROUTES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60, help="time of calls per model")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    console = Console(width=180)
    results = {}
    for model in arguments.models:
        results[model] = measure(model, arguments.routes, arguments.threads, arguments.seconds)
        show(model, results[model], console)
        if arguments.json:
            write(arguments.json, results)


if __name__ == "__main__":
    main()
