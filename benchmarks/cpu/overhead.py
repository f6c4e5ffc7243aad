"""What an engine adds to a call: ``python -m benchmarks.cpu.overhead``.

A graph of one node is run through ``Engine`` and, in the same process and in turns, through
OpenVINO's ``InferRequest.infer()`` with tensors bound beforehand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch

import forward
from benchmarks.machine import write
from fwd_ops_torch.importers import jit


def main() -> None:
    """Print medians in microseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200, help="calls per round")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args()
    x = torch.randn(1, 16)
    built = forward.build(jit.trace(torch.nn.ReLU().eval(), (x,)), x, backend="openvino")
    array = x.numpy()
    engine = built.engine
    bound = _bound(array)
    routes: dict[str, Callable[[], Any]] = {
        "InferRequest.infer() with bound tensors": bound,
        "Engine.run_list": lambda: engine.run_list([array]),
        "Engine.run (by name)": lambda: engine.run({"input": array}),
        "Engine.__call__": lambda: engine(array),
        "TorchEngine.forward": lambda: built.forward(x),
    }
    times: dict[str, list[float]] = {name: [] for name in routes}
    for _ in range(arguments.rounds):
        for name, call in routes.items():
            start = time.perf_counter()
            for _ in range(arguments.calls):
                call()
            times[name].append((time.perf_counter() - start) / arguments.calls * 1e6)
    medians = {name: float(np.median(rounds)) for name, rounds in times.items()}
    base = medians["InferRequest.infer() with bound tensors"]
    for name, value in medians.items():
        print(f"{name:42} {value:7.2f} us   {value - base:+7.2f} us")
    if arguments.json:
        write(arguments.json, medians)


def _bound(array: Any) -> Callable[[], Any]:
    opset = ov.opset16
    parameter = opset.parameter(list(array.shape), ov.Type.f32)
    model = ov.Model([opset.result(opset.relu(parameter))], [parameter])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    output = np.empty(array.shape, np.float32)
    request.set_input_tensor(0, ov.Tensor(array, shared_memory=True))
    request.set_output_tensor(0, ov.Tensor(output, shared_memory=True))
    return request.infer  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
