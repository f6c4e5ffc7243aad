"""The models that Forward has to carry: real architectures at full size, with random weights.

Each is traced, exported raw and exported decomposed. Forms that import to the same graph share
one engine. Errors are relative to the greatest value of an output.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openvino")

from torch import nn

from benchmarks.models import EAGER, MODELS, make
from fwd_core import Builder, OptBatch
from fwd_core.importing import ImportRequest
from fwd_core.ir import text
from fwd_core.ir.structure import flatten
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.module import export

#: float32 kernels sum in another order than torch's: measured errors are below 4e-6.
FLOAT32_ERROR = 1e-4
#: The bound for half precision, which has 8 to 11 bits.
FLOAT16_COSINE = 0.999


class Bottleneck(nn.Module):
    """Three convolutions and a shortcut, as in ResNet-50."""

    def __init__(self, wide: int, narrow: int, stride: int) -> None:
        super().__init__()
        self.reduce = self._unit(wide, narrow, 1, 1)
        self.spatial = self._unit(narrow, narrow, 3, stride)
        self.expand = self._unit(narrow, narrow * 4, 1, 1)
        same = stride == 1 and wide == narrow * 4
        self.shortcut = None if same else self._unit(wide, narrow * 4, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    @staticmethod
    def _unit(channels: int, maps: int, kernel: int, stride: int) -> nn.Sequential:
        convolution = nn.Conv2d(channels, maps, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(maps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.spatial(self.relu(self.reduce(x))))
        y = self.expand(y)
        if self.shortcut is not None:
            x = self.shortcut(x)
        y += x
        return self.relu(y)


class ResidualNet(nn.Module):
    """A residual network of ResNet-50's size, to be scripted."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        ]
        wide = 64
        for narrow, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for index in range(depth):
                layers.append(Bottleneck(wide, narrow, stride if index == 0 else 1))
                wide = narrow * 4
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(wide, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


def batched(inputs: Sequence[Any], size: int) -> tuple[Any, ...]:
    """The inputs with another batch size; rows differ."""
    torch.manual_seed(size)
    rows = []
    for tensor in inputs:
        if tensor.is_floating_point():
            rows.append(torch.randn(size, *tensor.shape[1:]))
        else:
            rows.append(torch.cat([tensor.roll(i, 1) for i in range(size)]))
    return tuple(rows)


def forms(model: nn.Module, inputs: tuple[Any, ...], dynamic: OptBatch | None) -> dict[str, Any]:
    """The model traced, exported and decomposed."""
    builder = Builder()
    with warnings.catch_warnings():
        # transformers checks shapes with Python's if while it is traced, and has a deprecated
        # property that torch reads as it reads all of them
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        traced = jit.trace(model, inputs)
        program = export(model, ImportRequest(inputs, builder.plugins, dynamic))
        decomposed = program.run_decompositions()
    return {"traced": traced, "exported": program, "decomposed": decomposed}


def outputs(tree: Any) -> list[Any]:
    """Tensors or arrays as float64 arrays."""
    leaves, _ = flatten(tree)
    return [np.asarray(leaf, np.float64) for leaf in leaves]


def errors(result: Any, expected: Any) -> Iterator[tuple[float, float]]:
    """Relative error and cosine of each output, after comparing counts and shapes."""
    have, want = outputs(result), outputs(expected)
    assert len(have) == len(want)
    for a, b in zip(have, want, strict=True):
        assert a.shape == b.shape
        cosine = float(a.ravel() @ b.ravel() / np.linalg.norm(a) / np.linalg.norm(b))
        yield float(np.abs(a - b).max() / np.abs(b).max()), cosine


def eager(model: nn.Module, inputs: Sequence[Any]) -> Any:
    with torch.no_grad():
        return model(*inputs)


def distinct(
    model: nn.Module, inputs: tuple[Any, ...], dynamic: OptBatch | None
) -> list[tuple[str, Any]]:
    """A graph for every form, less those that print like an earlier one."""
    graphs: dict[str, tuple[str, Any]] = {}
    for form, source in forms(model, inputs, dynamic).items():
        graph = Builder().import_model(source, inputs, dynamic=dynamic).verify()
        graphs.setdefault(text(graph, names=False), (form, graph))
    return list(graphs.values())


@pytest.mark.parametrize("name", [*MODELS, *EAGER])
def test_openvino_static_and_dynamic(name: str) -> None:
    model, inputs = make(name)
    for dynamic, sizes in ((None, (1,)), (OptBatch(2), (3, 1, 2))):
        example = inputs if dynamic is None else batched(inputs, 3)
        for form, graph in distinct(model, example, dynamic):
            engine = Builder(backend="openvino").compile(graph)
            for size in sizes:
                given = inputs if dynamic is None else batched(inputs, size)
                result = engine(*[tensor.numpy() for tensor in given])
                for error, _ in errors(result, eager(model, given)):
                    assert error <= FLOAT32_ERROR, f"{form}, batch {size}"


@pytest.mark.parametrize("name", [*MODELS, *EAGER])
def test_openvino_float16(name: str) -> None:
    model, inputs = make(name)
    source = forms(model, inputs, None)["traced"]
    engine = Builder(backend="openvino", mode="float16").build(source, inputs)
    assert engine.manifest["compute"] in ("float16", "bfloat16")
    result = engine(*[tensor.numpy() for tensor in inputs])
    for _, cosine in errors(result, eager(model, inputs)):
        assert cosine >= FLOAT16_COSINE


@pytest.mark.parametrize("kind", ["residual network", "transformer encoder"])
def test_scripted_models(kind: str) -> None:
    torch.manual_seed(0)
    model: nn.Module
    if kind == "residual network":
        model, example = ResidualNet().eval(), torch.randn(3, 3, 224, 224)
    else:
        layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, activation="gelu")
        model = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).eval()
        example = torch.randn(3, 50, 256)
    for dynamic, sizes in ((None, (3,)), (OptBatch(2), (3, 1, 2))):
        engine = Builder(backend="openvino").build(jit.script(model), (example,), dynamic=dynamic)
        for size in sizes:
            result = engine(example[:size].numpy())
            for error, _ in errors(result, eager(model, (example[:size],))):
                assert error <= FLOAT32_ERROR
