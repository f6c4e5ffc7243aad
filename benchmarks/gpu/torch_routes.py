"""Routes of torch: ``python -m benchmarks.gpu.torch_routes FOLDER --only resnet50 --batch 1``.

Eager, ``torch.compile(mode="reduce-overhead")``, which replays CUDA graphs, and the code that
``torch.compile`` makes recorded into one graph by hand, which is replayed as the engines of
TensorRT are: with buffers that stay where they are and without Python in between. In float16 the
model, its inputs and its outputs are half; in float32 TF32 is off everywhere. Routes take turns
in short rounds, and a sample is one call with a wait for the device.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import models
from benchmarks.gpu import host, rows
from benchmarks.gpu.case import Case, accuracy
from benchmarks.gpu.rounds import Call, in_turns
from benchmarks.gpu.rows import Row
from benchmarks.summary import latencies

ROUTES = rows.TORCH_ROUTES
EAGER, COMPILED, RECORDED = ROUTES
#: Arguments that a row's numbers depend on, which are kept beside them.
_RECORDED = ("seconds", "routes", "device", "compile_mode", "freezing")


def eager(module: torch.nn.Module, inputs: Sequence[torch.Tensor], _asked: Any) -> Call:
    """The model itself."""
    return lambda: module(*inputs)


def _compile(module: torch.nn.Module, asked: Any, *, graphs: bool) -> Any:
    """The compiler with or without CUDA graphs of its own."""
    if asked.freezing:
        options: dict[str, Any] = {"triton.cudagraphs": graphs, "freezing": True}
        return torch.compile(module, options=options, fullgraph=True, dynamic=False)
    without = {"max-autotune": "max-autotune-no-cudagraphs"}.get(asked.compile_mode)
    mode = asked.compile_mode if graphs else without
    return torch.compile(module, mode=mode, fullgraph=True, dynamic=False)


def compiled(module: torch.nn.Module, inputs: Sequence[torch.Tensor], asked: Any) -> Call:
    """torch.compile with CUDA graphs of its own."""
    made = _compile(module, asked, graphs=True)
    return lambda: made(*inputs)


def recorded(module: torch.nn.Module, inputs: Sequence[torch.Tensor], asked: Any) -> Call:
    """torch.compile without, recorded by hand."""
    made = _compile(module, asked, graphs=False)
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            made(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = made(*inputs)

    def call() -> Any:
        graph.replay()
        return results

    return call


_MAKERS = {EAGER: eager, COMPILED: compiled, RECORDED: recorded}


def exact() -> None:
    """Hold torch to float32 where it may round operands; let cuDNN try its kernels."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def measure(row: Row, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """One row: what making took, latencies in turns, accuracy."""
    case = Case(folder, row.model, row.batch)
    arrays, expected = case.read()
    exact()
    dtype = getattr(torch, row.mode)
    module, _ = models.make(row.model, case.facts()["layers"], row.batch)
    module = module.to(asked.device, dtype)
    inputs = [torch.from_numpy(array.copy()).to(asked.device) for array in arrays]
    inputs = [one.to(dtype) if one.is_floating_point() else one for one in inputs]
    found: dict[str, Any] = {}
    calls: dict[str, Call] = {}
    with torch.inference_mode():
        for route in asked.routes:
            start = time.perf_counter()
            try:
                call = _MAKERS[route](module, inputs, asked)
                for _ in range(4):  # compiles, warms up, and records
                    call()
                results = [one.float().cpu().numpy() for one in call()]
            except Exception as error:  # noqa: BLE001 - the compiler may raise anything
                found[route] = {"failed": f"{type(error).__name__}: {error}"[-2000:]}
                continue
            seconds = time.perf_counter() - start
            found[route] = {"build_s": seconds, **accuracy(results, expected)}
            calls[route] = call
        wait: Call = torch.cuda.synchronize if asked.device == "cuda" else lambda: None
        waiting = {route: _waiting(call, wait) for route, call in calls.items()}
        for route, rounds in in_turns(waiting, asked.seconds).items():
            found[route] |= latencies([sample for one in rounds for sample in one])
            median = found[route]["median_ms"]
            found[route]["throughput"] = _throughput(calls[route], wait, median, row.batch)
    return {"routes": found, "compile mode": asked.compile_mode, "freezing": asked.freezing}


def _waiting(call: Call, wait: Call) -> Call:
    def waiting() -> None:
        call()
        wait()

    return waiting


def _throughput(call: Call, wait: Call, milliseconds: float, batch: int) -> float:
    """Samples per second of calls that are queued without waiting for each."""
    count = max(3, int(0.2e3 / milliseconds))
    bursts = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(count):
            call()
        wait()
        bursts.append(time.perf_counter() - start)
    return batch * count / min(bursts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line says; 3 if the budget ended before the rows did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], choices=rows.MODELS, help="models")
    parser.add_argument("--batch", nargs="*", type=int, default=[], choices=rows.BATCHES)
    parser.add_argument("--mode", nargs="*", default=[], choices=rows.MODES)
    parser.add_argument("--routes", nargs="*", default=list(ROUTES), choices=ROUTES)
    parser.add_argument("--output", type=Path, default=Path("rows.jsonl"))
    parser.add_argument("--resume", action="store_true", help="skip rows that are in the output")
    parser.add_argument("--budget-seconds", type=float, default=float("inf"))
    parser.add_argument("--seconds", type=float, default=10, help="of calls per row")
    parser.add_argument("--device", default="cuda", help="cpu is for trying this program")
    parser.add_argument("--compile-mode", default="reduce-overhead",
                        choices=("reduce-overhead", "max-autotune"))  # fmt: skip
    parser.add_argument("--freezing", action="store_true",
                        help="let the compiler take weights for constants")  # fmt: skip
    asked = parser.parse_args(arguments)
    end = time.monotonic() + asked.budget_seconds
    chosen = [
        Case.of(asked.folder, row).named(row)
        for row in rows.in_order(asked.only, asked.batch, asked.mode)
    ]
    if asked.resume:
        done = rows.read(asked.output)
        chosen = [
            row
            for row in chosen
            if not rows.has(done, "torch", row, asked.routes, device=asked.device)
        ]
    facts = host.facts(
        torch=torch.__version__,
        triton=host.version("triton"),
        transformers=host.version("transformers"),
    )
    for row in chosen:
        if time.monotonic() >= end:
            return 3
        start = time.monotonic()
        torch.compiler.reset()  # else the second row of a process is compiled for any size
        more = measure(row, asked.folder, asked)
        if all("failed" in found for found in more["routes"].values()):
            more["failed"] = "no route"  # the row is to be measured again
        seconds = time.monotonic() - start
        rows.append(
            asked.output,
            rows.document(
                "torch",
                row,
                machine=facts,
                seconds=seconds,
                asked={name: getattr(asked, name) for name in _RECORDED},
                **more,
            ),
        )
        shown = {name: one.get("median_ms", one.get("failed")) for name, one in
                 more["routes"].items()}  # fmt: skip
        print(f"{row}: {json.dumps(shown)} in {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
