"""Where the time of a model goes, kernel by kernel: ``python -m benchmarks.cpu.kernels``.

Forward's engine on OpenVINO beside ONNX Runtime on the same model, each with its own profiler
switched on. Times of the same kind of kernel are added up, medians over runs. Profiling costs time
itself, so the sums are greater than the latencies that ``benchmarks.cpu.latency`` measures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.cpu.routes import onnx_program
from benchmarks.machine import write
from benchmarks.models import MODELS, Inputs, make

#: Milliseconds and number of kernels by kind.
Profile = dict[str, tuple[float, int]]


def openvino_profile(model: Any, inputs: Inputs, threads: int, runs: int) -> Profile:
    """OpenVINO's kernels for the graph that Forward hands it, by layer type and implementation."""
    import openvino as ov

    from fwd_core import Builder
    from fwd_core.backends.openvino.model import lower_graph
    from fwd_ops_torch.importers import jit

    builder = Builder(backend="openvino")
    graph = builder.import_model(jit.trace(model, inputs), inputs)
    lowered = lower_graph(graph, builder.plugins.lowerings, builder.events)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads, "PERF_COUNT": True}  # fmt: skip
    request = ov.Core().compile_model(lowered.model, "CPU", settings).create_infer_request()
    arrays = [tensor.numpy() for tensor in inputs]
    samples: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = {}
    for _ in range(runs):
        request.infer(arrays)
        times: dict[str, float] = defaultdict(float)
        found: dict[str, int] = defaultdict(int)
        for info in request.profiling_info:
            if info.status == ov.ProfilingInfo.Status.EXECUTED:
                kind = f"{info.node_type} {info.exec_type}"
                times[kind] += info.real_time.total_seconds() * 1e3
                found[kind] += 1
        for kind, spent in times.items():
            samples[kind].append(spent)
        counts.update(found)
    return {kind: (float(np.median(spent)), counts[kind]) for kind, spent in samples.items()}


def onnxruntime_profile(model: Any, inputs: Inputs, threads: int, runs: int) -> Profile:
    """ONNX Runtime's kernels, by operator after its own fusions."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = os.path.join(folder, "profile")
        session = ort.InferenceSession(
            onnx_program(model, inputs)[0], options, providers=["CPUExecutionProvider"]
        )
        feeds = {
            port.name: tensor.numpy()
            for port, tensor in zip(session.get_inputs(), inputs, strict=True)
        }
        for _ in range(runs):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = event["args"]["op_name"]
            spent[kind] += event["dur"] / 1e3 / runs
            counts[kind] += 1
    return {kind: (spent[kind], counts[kind] // runs) for kind in spent}


def main() -> None:
    """Print both profiles of a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mobilenet_v2", choices=list(MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    asked = parser.parse_args()
    model, inputs = make(asked.model)
    profiles = {
        "Forward on OpenVINO": openvino_profile(model, inputs, asked.threads, asked.runs),
        "ONNX Runtime": onnxruntime_profile(model, inputs, asked.threads, asked.runs),
    }
    for title, profile in profiles.items():
        table = Table("kernels", "count", "ms", title=f"{asked.model}: {title}")
        for kind, (spent, count) in sorted(profile.items(), key=lambda item: -item[1][0]):
            table.add_row(kind, str(count), f"{spent:.3f}")
        table.add_row("all", "", f"{sum(spent for spent, _ in profile.values()):.3f}")
        Console(width=100).print(table)
    if asked.json:
        write(asked.json, {"model": asked.model, "profiles": profiles})


if __name__ == "__main__":
    main()
