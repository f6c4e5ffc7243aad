"""The main job on real input: a TorchScript ResNet-50 becomes engines that run.

``nox -s demo`` runs this. It needs no GPU: OpenVINO executes, TensorRT-RTX compiles ahead of time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.table import Table

import forward
from fwd_core.errors import ForwardError, OptionError
from fwd_core.events import Event
from fwd_ops_torch.importers import jit

T = TypeVar("T")
console = Console()


def make_model() -> torch.nn.Module:
    """ResNet-50 of transformers with random weights: no download is needed."""
    from transformers import ResNetConfig, ResNetModel, logging

    logging.set_verbosity_error()
    torch.manual_seed(0)
    model = ResNetModel(ResNetConfig()).eval()
    model.config.return_dict = False
    return model


def timed(call: Callable[[], T], repeat: int = 10) -> tuple[T, float]:
    """The result of a call, and the median of its times in milliseconds."""
    result = call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = call()
        times.append((time.perf_counter() - start) * 1e3)
    return result, sorted(times)[repeat // 2]


def build(path: Path, example: torch.Tensor, title: str, **options: Any) -> forward.TorchEngine:
    """Build with a line that says what is going on."""
    with console.status(f"{title} …") as status:

        def show(event: Event) -> None:
            status.update(f"{title}: {event.phase} {event.detail}")

        return forward.build(path, example, on_event=show, **options)


def difference(outputs: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Greatest error of any output, relative to its greatest value."""
    pairs = zip(outputs, expected, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def main() -> None:
    """Trace, build, run, compare, save, load, and compile for a GPU that is not here."""
    with tempfile.TemporaryDirectory(prefix="forward-demo-") as folder:
        demonstrate(Path(folder))
    console.print("[bold]done[/]    the files, 230 MB, are deleted again")


def demonstrate(folder: Path) -> None:
    """Do all of it in a folder."""
    model, batch = make_model(), torch.rand(4, 3, 224, 224)
    path = folder / "resnet50.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers checks its inputs with Python's if
        jit.trace(model, (batch,)).save(str(path))  # type: ignore[no-untyped-call]
    console.print(f"[bold]model[/]   {path}, {path.stat().st_size / 2**20:.0f} MB of TorchScript")

    table = Table("engine", "computes in", "batch", "ms", "torch ms", "greatest error, relative")
    for mode in ("float32", "float16"):
        try:
            engine = build(
                path, batch, f"OpenVINO {mode}", mode=mode, backend="openvino", opt_batch=1
            )
        except OptionError as error:  # a CPU without a half type
            console.print(f"[yellow]skipped OpenVINO {mode}: {error.what}[/]")
            continue
        for size in (1, 4):
            x = batch[:size]
            with torch.inference_mode():
                expected, reference_ms = timed(lambda x=x: model(x), 5)  # type: ignore[misc]
            outputs, ms = timed(lambda x=x, e=engine: e(x))  # type: ignore[misc]
            error = difference(outputs, expected)
            compute = str(engine.engine.manifest["compute"])
            row = (str(size), f"{ms:.1f}", f"{reference_ms:.1f}", f"{error:.1e}")
            table.add_row(f"OpenVINO {mode}", compute, *row)
        saved = folder / f"resnet50-{mode}.engine"
        engine.save(saved)
        again = forward.load(saved)
        assert all(map(torch.equal, again(batch), engine(batch))), "a loaded engine differs"
    console.print(table)
    console.print(f"[bold]saved[/]   the engines in {folder}, loaded again, same results")

    try:
        engine = build(
            path,
            batch,
            "TensorRT-RTX float16",
            mode="float16",
            backend="tensorrt",
            gpu="sm_89",
            opt_batch=1,
        )
        target = folder / "resnet50-sm_89.engine"
        engine.save(target)
        size = target.stat().st_size / 2**20
        console.print(
            f"[bold]built[/]   {target}: TensorRT-RTX for sm_89, {size:.0f} MB, not run here"
        )
    except ForwardError as error:
        console.print(f"[yellow]skipped TensorRT: {error}[/]")


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    try:
        main()
    except ForwardError as error:
        raise SystemExit(f"error: {error}") from None
