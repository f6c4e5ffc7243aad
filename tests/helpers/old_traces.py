"""Archives of old traces, of code that is written by hand and of weights that are drawn.

No old torch can be installed here. What it wrote is known: linear layers as products and sums in
place, numbers as constant tensors, sizes through tensors, and a version for which torch upgrades
its operators when the file is loaded.
"""

from __future__ import annotations

from pathlib import Path

import torch
from old_archives import aged

from fwd_ops_torch.importers import jit

TRACES = Path(__file__).parents[1] / "data" / "traces"
#: Of files of torch 1.4 to 1.6.
VERSION = 3


class _Holder(torch.nn.Module):
    """Saved today for its parameters and constants; its code is replaced."""

    def __init__(self, shapes: dict[str, list[int]], numbers: list[float]) -> None:
        super().__init__()
        self.numbers = numbers
        for name, shape in shapes.items():
            setattr(self, name, torch.nn.Parameter(torch.randn(shape) / 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number in self.numbers:
            x = x * number
        for parameter in self.parameters():
            x = x + parameter.sum()
        return x


def archive(name: str, path: Path) -> Path:
    """A file of a trace, with weights of a seed."""
    lines = (TRACES / f"{name}.txt").read_text().splitlines()
    told = [line.partition(": ")[2] for line in lines if line.startswith("# parameters")]
    shapes = {
        word.split()[0]: [int(size) for size in word.split()[1:]]
        for word in ", ".join(told).split(", ")
    }
    (numbers,) = (line.partition(": ")[2] for line in lines if line.startswith("# numbers"))
    torch.manual_seed(0)
    holder = _Holder(shapes, [float(one) for one in numbers.split(", ")])
    saved = jit.trace(holder, (torch.zeros(1),)).save_to_buffer()  # type: ignore[operator]
    code = "".join(f"{line}\n" for line in lines if not line.startswith("#"))
    return aged(saved, path, VERSION, lambda text: text[: text.index("  def forward(")] + code)
