"""How long the BERT pack looks at an encoder: ``python -m benchmarks.cpu.fusing``.

BERT-base with 24 layers, traced with attention written out, imported and cleaned up. Timed are all
rewrites of the pack, of what is written out and to its own operators, until none changes anything.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cpu.routes import traced
from benchmarks.machine import write
from benchmarks.models import make
from fwd_core import Builder, rewrite
from fwd_core.ir.serialize import copied
from fwd_plugins_bert import fusions

_ROUNDS = 5


def measure(layers: int) -> dict[str, Any]:
    """The median of several rounds, and what the rewrites did."""
    model, inputs = make("bert_base eager", layers, 1)
    builder = Builder(backend="openvino")
    graph = builder.import_model(traced(model, inputs), inputs)
    every = [*fusions.written_out(), *(fusion for fusion, _ in fusions.fused())]
    spent, counts = [], dict[str, int]()
    for _ in range(_ROUNDS):
        again = copied(graph, builder.plugins.operators)
        start = time.perf_counter()
        counts = rewrite.run(again, every)
        spent.append(time.perf_counter() - start)
    found = {name: count for name, count in counts.items() if count}
    return {
        "layers": layers,
        "nodes": len(graph),
        "seconds": float(np.median(spent)),
        "most": max(spent),
        "changed": found,
    }


def told(row: dict[str, Any]) -> str:
    """The numbers in a sentence."""
    changed = ", ".join(f"{count} x {name}" for name, count in row["changed"].items())
    return (
        f"All rewrites of the BERT pack take {row['seconds']:.2f} s (at most {row['most']:.2f} of "
        f"{_ROUNDS} times) on an encoder of {row['layers']} layers, {row['nodes']} nodes: "
        f"{changed}."
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; ``--json`` writes the numbers too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args(arguments)
    row = measure(asked.layers)
    print(told(row), flush=True)
    if asked.json:
        write(asked.json, row)


if __name__ == "__main__":
    main()
