"""What importing costs: ``python -m benchmarks.cpu.importing``.

Time of import and rewrites of BERT-base without the backend's compile; memory above the loaded
module; and the cost per node of a chain of 10,000 nodes against one of 1,000.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import write
from benchmarks.models import make


def bert(source: str) -> dict[str, Any]:
    """Time and memory of one import of BERT-base from a file; in this process."""
    import torch

    from fwd_core import Builder
    from fwd_ops_torch.importers import jit

    inputs = _bert_inputs()
    builder = Builder(backend="openvino")
    if source.endswith(".pth"):
        module: Any = jit.load(source)
        state = module.state_dict()
    else:
        module = torch.export.load(source)
        state = module.state_dict
    weights = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    builder.importer(module)  # imports the converters
    gc.collect()
    before = _rss()
    start = time.perf_counter()
    graph = builder.import_model(module, inputs)
    nodes = len(graph)
    refused = builder.unsupported(graph)  # all rewrites, and the look-up of every lowering
    seconds = time.perf_counter() - start
    assert not refused, refused
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": seconds,
        "nodes": nodes,
        "weights_mb": weights / 2**20,
        "peak_above_module_x_weights": max(0.0, peak - before) / weights,
    }


def chain(nodes: int) -> dict[str, Any]:
    """Seconds per node of a traced chain of elementwise operators: import, rewrite, verify."""
    import torch

    from fwd_core import Builder
    from fwd_ops_torch.importers import jit

    class Chain(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for i in range(nodes // 2):
                x = torch.relu(x + float(i))
            return x

    x = torch.zeros(4)
    traced = jit.trace(Chain().eval(), (x,))
    builder = Builder()
    builder.importer(traced)
    start = time.perf_counter()
    graph = builder.import_model(traced, (x,))
    graph.verify()
    return {"nodes": len(graph), "us_per_node": (time.perf_counter() - start) / nodes * 1e6}


def _bert_inputs() -> tuple[Any, ...]:
    import torch

    return torch.randint(0, 30_000, (1, 128)), (torch.arange(128) < 100).long()[None]


def _rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's memory")


def _save(folder: Path) -> list[str]:
    import torch

    from fwd_ops_torch.importers import jit

    model, inputs = make("bert_base")
    jit.trace(model, inputs).save(str(folder / "bert.pth"))  # type: ignore[no-untyped-call]
    torch.export.save(torch.export.export(model, inputs), folder / "bert.pt2")
    return [str(folder / "bert.pth"), str(folder / "bert.pt2")]


def main() -> None:
    """Measure each thing in fresh processes and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, value = arguments.one
        print(json.dumps(bert(value) if kind == "bert" else chain(int(value))))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        jobs = [("bert", path) for path in _save(Path(name))]
        jobs += [("chain", "1000"), ("chain", "10000")]
        for kind, value in jobs:
            rows = [_run(kind, value) for _ in range(arguments.repeat)]
            label = f"{kind} {Path(value).name}"
            results[label] = {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
            print(label, json.dumps(results[label]))
    per_node = [results[f"chain {n}"]["us_per_node"] for n in (1000, 10000)]
    results["chain ratio"] = per_node[1] / per_node[0]
    print(f"chain of 10,000 against 1,000, per node: {results['chain ratio']:.2f}")
    if arguments.json:
        write(arguments.json, results)


def _run(kind: str, value: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.cpu.importing", "--one", kind, value]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    row: dict[str, Any] = json.loads(told.splitlines()[-1])
    return row


if __name__ == "__main__":
    main()
