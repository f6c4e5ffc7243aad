"""Accuracy in int8 on real data: ``python -m benchmarks.digits``.

The 1797 handwritten digits that scikit-learn ships, 8 x 8 pixels. A small CNN and a small
transformer learn two thirds of them in seconds, from a fixed seed, and are asked about the rest in
float32, in float16 where the CPU has a half type, and in int8 with each algorithm, calibrated with
images they learned from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import forward
from benchmarks import integers
from benchmarks.machine import write
from benchmarks.summary import sqnr
from fwd_core.errors import ForwardError
from fwd_core.quantize.calibrate import Calibrator

ALGORITHMS = ("entropy", "entropy_2", "minmax", "percentile", "mse")
#: Points of accuracy that int8 may lose against float32.
ALLOWED = 0.5
_CALIBRATION_BATCHES = 8
_BATCH = 64


@dataclass(frozen=True)
class Digits:
    """Images in (N, 1, 8, 8), 0 … 1, and what they show."""

    images: torch.Tensor
    labels: torch.Tensor
    held_out: torch.Tensor
    held_out_labels: torch.Tensor

    @classmethod
    def load(cls) -> Digits:
        """The data, shuffled with a fixed seed; every third image is held out."""
        from sklearn.datasets import load_digits

        found = load_digits()
        order = np.random.default_rng(0).permutation(len(found.target))
        images = torch.tensor(found.images[order], dtype=torch.float32)[:, None] / 16
        labels = torch.tensor(found.target[order], dtype=torch.int64)
        held = torch.arange(len(labels)) % 3 == 0
        return cls(images[~held], labels[~held], images[held], labels[held])


class Convolutions(nn.Module):
    """Residual convolutions with batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.residual = nn.Sequential(
            *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)),
        )
        self.down = nn.Sequential(
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        )
        self.head = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of the ten digits."""
        x = self.stem(images)
        x = self.down(nn.functional.relu(x + self.residual(x)))
        scores: torch.Tensor = self.head(x.mean((2, 3)))
        return scores


class Transformer(nn.Module):
    """Two layers over the 16 patches of 2 x 2 pixels."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.places = nn.Parameter(torch.randn(1, 16, width) * 0.02)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of the ten digits."""
        x = self.patches(images).flatten(2).transpose(1, 2) + self.places
        for layer in self.layers:
            x = layer(x)
        scores: torch.Tensor = self.head(self.norm(x).mean(1))
        return scores


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.inward(self.first(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.outward(mixed.transpose(1, 2).reshape(batch, length, width))
        wide: torch.Tensor = self.narrow(nn.functional.gelu(self.wide(self.second(x))))
        return x + wide


MODELS: dict[str, type[nn.Module]] = {"cnn": Convolutions, "transformer": Transformer}
#: Passes over the data after which each has learned it.
EPOCHS = {"cnn": 20, "transformer": 60}


def trained(name: str, digits: Digits, epochs: int | None = None) -> nn.Module:
    """A model that has learned the digits, the same one at every call."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would add in another order, and gain nothing on this size
    try:
        return _trained(name, digits, EPOCHS[name] if epochs is None else epochs)
    finally:
        torch.set_num_threads(threads)


def _trained(name: str, digits: Digits, epochs: int) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS[name]()
    steps = epochs * -(-len(digits.labels) // _BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(digits.labels)), _BATCH):
            optimizer.zero_grad()
            scores = model(digits.images[chosen])
            loss = nn.functional.cross_entropy(scores, digits.labels[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return model.eval()


def scored(
    model: nn.Module, digits: Digits, mode: str, algorithm: str | None = None, **options: Any
) -> dict[str, Any]:
    """Accuracy in percent on what was held out, and SQNR of the scores against torch.

    Args:
        model: In evaluation mode.
        digits: The data.
        mode: Of the build.
        algorithm: For mode ``int8``, by which it is calibrated.
        options: Of the build, as for ``forward.build``.
    """
    batches = torch.split(digits.images, _BATCH)[:_CALIBRATION_BATCHES]
    calibrator = None if algorithm is None else Calibrator(batches, algorithm=algorithm)
    # Batches to calibrate with are smaller than what is held out, which runs at once.
    engine = forward.build(
        model, digits.held_out, mode=mode, calibrator=calibrator, dynamic_batch=True, **options
    )
    with torch.inference_mode():
        expected = model(digits.held_out)
        result = engine(digits.held_out)
    right = (result.argmax(1) == digits.held_out_labels).sum().item()
    return {
        "accuracy": 100.0 * right / len(result),
        "sqnr_db": sqnr(result.numpy(), expected.numpy()),
        "precision": integers.told(engine.engine),
    }


def measure(
    name: str, digits: Digits, backend: str, algorithms: Sequence[str] = ALGORITHMS
) -> dict[str, Any]:
    """All modes of one model."""
    model = trained(name, digits)
    modes: list[tuple[str, str | None]] = [("float32", None), ("float16", None)]
    rows: dict[str, Any] = {}
    for mode, algorithm in [*modes, *(("int8", one) for one in algorithms)]:
        title = mode if algorithm is None else f"{mode} {algorithm}"
        try:
            rows[title] = scored(model, digits, mode, algorithm, backend=backend)
        except ForwardError as error:  # a CPU without a half type
            if mode != "float16":
                raise
            rows[title] = {"failed": error.what}
            continue
        rows[title]["drop"] = rows["float32"]["accuracy"] - rows[title]["accuracy"]
    return rows


def show(name: str, rows: dict[str, Any], console: Console) -> None:
    """A table of one model."""
    table = Table(title=f"digits, {name}")
    for title in ("mode", "computes in"):
        table.add_column(title)
    for title in ("accuracy %", "points lost", "SQNR dB", f"at most {ALLOWED}"):
        table.add_column(title, justify="right")
    for mode, row in rows.items():
        if "failed" in row:
            table.add_row(mode, row["failed"])
            continue
        numbers = f"{row['accuracy']:.2f}", f"{row['drop']:.2f}", f"{row['sqnr_db']:.1f}"
        table.add_row(mode, row["precision"], *numbers, "yes" if row["drop"] <= ALLOWED else "NO")
    console.print(table)


def beyond(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of all models and modes loses more than is allowed, in words."""
    return [
        f"{name}, {mode}: {row['drop']:.2f} points lost, at most {ALLOWED} are allowed"
        for name, rows in results.items()
        for mode, row in rows.items()
        if row.get("drop", 0.0) > ALLOWED
    ]


def main(given: Sequence[str] | None = None) -> int:
    """Train, build and print tables; ``--json`` writes the numbers too.

    Args:
        given: Arguments; by default those of the command line.

    Returns:
        0, or 1 where a mode loses more than is allowed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--algorithms", nargs="*", default=list(ALGORITHMS), choices=ALGORITHMS)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    arguments = parser.parse_args(given)
    digits, console = Digits.load(), Console(width=120)
    results = {}
    for name in arguments.models:
        results[name] = measure(name, digits, arguments.backend, arguments.algorithms)
        show(name, results[name], console)
        if arguments.json:
            write(arguments.json, results)
    for line in (missed := beyond(results)):
        console.print(line, style="bold red")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
