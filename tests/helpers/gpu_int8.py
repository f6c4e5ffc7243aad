"""What the tests of int8 on a GPU run: ``python tests/helpers/gpu_int8.py FOLDER`` needs torch.

The program writes a network that was trained with fake quantization, its inputs, and what torch
computes. The small network is made without torch, and is the same everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core import files
from fwd_core.files import atomic_path
from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops

if TYPE_CHECKING:
    import torch

FORMAT, VERSION = "forward-gpu-model", 1
#: The range and the step of what the trained network gives.
STEP = 4.0 / 127
SIZE = 24


def small(batch: Dim = 4) -> Graph:
    """Six convolutions, with an addition, pooling, and a classifier."""
    numbers = np.random.default_rng(11)
    graph = Graph("small")
    x = graph.add_input("image", TensorType(DType.FLOAT32, (batch, 3, SIZE, SIZE)))

    def convolved(x: Value, name: str, maps: int, kernel: int) -> Value:
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        shape = (maps, channels, kernel, kernel)
        data = numbers.standard_normal(shape) * np.sqrt(2 / (channels * kernel**2))
        weight = graph.constant(data.astype(np.float32), name=f"{name}.weight")
        bias = graph.constant(
            numbers.standard_normal(maps).astype(np.float32) / 10, name=f"{name}.bias"
        )
        pad = (kernel // 2,) * 2
        op = ops.Convolution(x, weight, bias, (1, 1), pad, pad, (1, 1))
        return graph.add(op, name=name)

    x = graph.add(ops.Relu(convolved(x, "stem", 32, 3)), name="stem.relu")
    x = graph.add(ops.MaxPool(x, (2, 2), (2, 2), (0, 0), (1, 1)), name="stem.pool")
    for block in ("one", "two"):
        y = graph.add(ops.Relu(convolved(x, f"{block}.first", 32, 3)), name=f"{block}.relu")
        y = convolved(y, f"{block}.second", 32, 1)
        x = graph.add(ops.Relu(graph.add(ops.Add(y, x), name=f"{block}.add")), name=f"{block}.out")
    x = graph.add(ops.Relu(convolved(x, "last", 64, 3)), name="last.relu")
    x = graph.add(ops.AdaptiveAveragePool(x, (1, 1)), name="pool")
    x = graph.add(ops.Reshape(x, (batch, 64)), name="flat")
    weight = graph.constant(numbers.standard_normal((10, 64)).astype(np.float32) / 8, name="fc.w")
    graph.set_outputs([graph.add(ops.Linear(x, weight), name="fc")], ["logits"])
    return graph.verify()


def images(count: int = 16, batch: int = 4) -> list[NDArray[np.float32]]:
    """Batches for the small network."""
    numbers = np.random.default_rng(12)
    return [numbers.standard_normal((batch, 3, SIZE, SIZE), np.float32) for _ in range(count)]


def _trained() -> torch.nn.Module:
    """Convolutions between fake quantizations, as training with them leaves a network."""
    import torch
    from torch import nn

    class Trained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 32, 3, padding=1)
            self.second = nn.Conv2d(32, 32, 3, padding=1)
            self.third = nn.Conv2d(32, 16, 1)

        def convolved(self, layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
            scale = layer.weight.detach().abs().amax((1, 2, 3)) / 127
            zeros = torch.zeros_like(scale, dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(
                layer.weight, scale, zeros, 0, -127, 127
            )
            return nn.functional.conv2d(x, weight, layer.bias, padding=layer.padding)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            def faked(x: torch.Tensor, amax: float) -> torch.Tensor:
                return torch.fake_quantize_per_tensor_affine(x, amax / 127, 0, -128, 127)

            x = faked(x, 4.0)
            x = faked(self.convolved(self.first, x).relu(), 3.0)
            y = faked(self.convolved(self.second, x).relu(), 3.0)
            return faked(self.convolved(self.third, y), 127 * STEP)

    torch.manual_seed(3)
    return Trained().eval()


def prepare(folder: Path) -> None:
    """Write ``trained.graph`` and ``trained.arrays``."""
    import torch

    from benchmarks.gpu.packs import plugins
    from fwd_core import Builder
    from fwd_core.ir.serialize import save
    from fwd_ops_torch.importers import jit

    module, x = _trained(), torch.from_numpy(images(1)[0])
    with torch.inference_mode():
        expected = module(x)
    graph = Builder(plugins=plugins()).import_model(jit.trace(module, (x,), check=False), (x,))
    with atomic_path(folder / "trained.graph") as path:
        save(graph, path)
    arrays: dict[str, Any] = {"x": x.numpy(), "y": expected.numpy()}
    files.write(folder / "trained.arrays", {}, arrays, format=FORMAT, version=VERSION)


def trained(folder: Path) -> tuple[Path, NDArray[Any], NDArray[Any]]:
    """The graph's file, its input, and what torch computes."""
    _, arrays = files.read(folder / "trained.arrays", format=FORMAT, version=VERSION)
    return folder / "trained.graph", arrays["x"], arrays["y"]


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    prepare(Path(sys.argv[1]))
    print(f"the trained network is in {sys.argv[1]}", flush=True)
