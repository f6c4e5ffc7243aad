"""What removing padding gains on a CPU: ``python -m benchmarks.cpu.padding``.

BERT-base on OpenVINO as it is, and with ``variable_length``, on one batch with a mask that keeps a
share of the places. Both engines are in one process and take turns, in an order that is drawn anew
for each round. Cosines are of real tokens, with torch in float32.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import forward
from benchmarks import lengths
from benchmarks.cpu.routes import traced
from benchmarks.machine import write
from benchmarks.models import Inputs, make
from benchmarks.summary import difference, ratio
from fwd_core import Builder
from fwd_core.errors import OptionError

MODES = ("float32", "float16")
#: The input of BERT that is its mask.
MASK = 1
#: What engines are built with, by route.
ROUTES: dict[str, dict[str, Any]] = {"padded": {}, "packed": {"variable_length": "attention_mask"}}


def batch_of(inputs: Inputs, share: float) -> Inputs:
    """The same batch with a mask that keeps a share of the places."""
    mask = inputs[MASK]
    batch, length = mask.shape
    kept = torch.from_numpy(lengths.kept(batch, length, share)).to(mask.dtype)
    return (*inputs[:MASK], kept, *inputs[MASK + 1 :])


def in_turns(
    calls: Mapping[str, Callable[[], object]], seconds: float, least: int = 5
) -> dict[str, list[float]]:
    """Seconds of each call, round by round, until all of them have taken ``seconds``."""
    order, times = random.Random(0), {name: list[float]() for name in calls}
    for call in calls.values():  # the first run compiles what depends on sizes
        call()
    spent, rounds = 0.0, 0
    while spent < seconds or rounds < least:
        for name in order.sample(list(calls), len(calls)):
            start = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - start)
            spent += times[name][-1]
        rounds += 1
    return times


def measure(
    model: torch.nn.Module,
    inputs: Inputs,
    mode: str,
    shares: list[float],
    threads: int,
    seconds: float,
) -> list[dict[str, Any]]:
    """A row for each share of tokens."""
    common: dict[str, Any] = {"mode": mode, "backend": "openvino", "threads": threads}
    source = traced(model, inputs)
    engines = {
        name: forward.build(source, inputs, **common, **options).engine
        for name, options in ROUTES.items()
    }
    rows = []
    for share in shares:
        given = batch_of(inputs, share)
        real = given[MASK].numpy().astype(bool)
        arrays = [one.numpy() for one in given]
        with torch.inference_mode():
            expected = model(*given)[0].numpy()[real]
        times = in_turns(
            {name: partial(one.run_list, arrays) for name, one in engines.items()}, seconds
        )
        routes = {}
        for name, engine in engines.items():
            distance, cosine = difference(engine.run_list(arrays)[0][real], expected)
            median = float(np.median(times[name])) * 1e3
            routes[name] = {"median_ms": median, "error": distance, "cosine": cosine}
        row: dict[str, Any] = {"mode": mode, "computes": str(engines["packed"].manifest["compute"])}
        row |= {"batch": real.shape[0], "length": real.shape[1], "share": float(real.mean())}
        row |= {"routes": routes, "rounds": len(times["packed"])}
        rows.append(row | {"packed / padded": ratio(times["packed"], times["padded"])})
    return rows


def told(row: Mapping[str, Any]) -> str:
    """A row on the console."""
    padded, packed = (row["routes"][name] for name in ROUTES)
    return (
        f"{row['mode']}, {row['batch']} x {row['length']}, {row['share']:.0%} tokens: "
        f"padded {padded['median_ms']:.1f} ms, packed {packed['median_ms']:.1f} ms, "
        "{:.3f} [{:.3f}, {:.3f}], ".format(*row["packed / padded"])
        + f"cosine {packed['cosine']:.6f}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line says; ``--json`` writes the numbers too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=MODES)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--shares", nargs="*", type=float, default=[0.5, 1.0], help="of tokens")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30, help="time of calls per row")
    parser.add_argument("--note", default="", help="what is to be said beside the numbers")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args(arguments)
    model, inputs = make("bert_base", asked.layers, asked.batch)
    results: dict[str, Any] = {"layers": asked.layers, "threads": asked.threads, "note": asked.note}
    results["rows"] = []
    for mode in asked.modes:
        try:
            Builder(backend="openvino", mode=mode).require()
        except OptionError as error:  # a CPU without a half type
            rows = [{"mode": mode, "failed": error.what}]
        else:
            rows = measure(model, inputs, mode, asked.shares, asked.threads, asked.seconds)
        results["rows"] += rows
        for row in rows:
            print(f"{mode}: {row['failed']}" if "failed" in row else told(row), flush=True)
        if asked.json:
            write(asked.json, results)


if __name__ == "__main__":
    main()
