"""The models that Forward has to carry: real architectures at full size, with random weights.

Each is traced, exported raw and exported decomposed. Forms that import to the same graph share
one engine. Errors are relative to the greatest value of an output.

The layers of a transformer are all alike: in every form, and for every backend and mode, there are
two of them here, but all twelve in the profile ``nightly``. One form is always built whole.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openvino")

from machine import needs_half
from torch import nn

from benchmarks.models import EAGER, MODELS, TRANSFORMERS, make
from fwd_core import Builder, OptBatch
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.importing import ImportRequest
from fwd_core.ir import Graph, text
from fwd_core.ir.serialize import copied
from fwd_core.ir.structure import flatten
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.module import export

#: float32 kernels sum in another order than torch's: measured errors are below 4e-6.
FLOAT32_ERROR = 1e-4
#: The bound for half precision, which has 8 to 11 bits.
FLOAT16_COSINE = 0.999
#: Layers of transformers, if fewer than their own.
LAYERS = None if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 2


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
        traced = jit.trace(model, inputs, check=False)
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


@dataclass(frozen=True)
class Imported:
    """A model with one graph for every form of it that differs from the others."""

    model: nn.Module
    single: tuple[Any, ...]
    dynamic: OptBatch | None
    graphs: dict[str, Graph]

    @cached_property
    def runs(self) -> list[tuple[tuple[Any, ...], Any]]:
        """Inputs of every batch size to try, and what torch gives; the greatest is the first."""
        sizes = (3, 1, 2) if self.dynamic else (1,)
        given = [batched(self.single, size) for size in sizes]
        return [(one, eager(self.model, one)) for one in given]

    def copies(self) -> Iterator[tuple[str, Graph]]:
        """The graphs, to be compiled."""
        for form, graph in self.graphs.items():
            yield form, copied(graph)


@pytest.fixture(
    scope="module",
    params=[(name, dynamic) for name in (*MODELS, *EAGER) for dynamic in (False, True)],
    ids=lambda pair: f"{pair[0]} {'dynamic' if pair[1] else 'static'}",
)
def imported(request: pytest.FixtureRequest) -> Imported:
    name, is_dynamic = request.param
    model, inputs = make(name, LAYERS if name in TRANSFORMERS else None)
    dynamic = OptBatch(2) if is_dynamic else None
    example = batched(inputs, 3 if is_dynamic else 1)
    printed: set[str] = set()
    graphs: dict[str, Graph] = {}
    for form, source in forms(model, example, dynamic).items():
        graph = Builder().import_model(source, example, dynamic=dynamic).verify()
        if (shown := text(graph, names=False)) not in printed:
            printed.add(shown)
            graphs[form] = graph
    return Imported(model, inputs, dynamic, graphs)


def test_openvino_float32(imported: Imported) -> None:
    for form, graph in imported.copies():
        engine = Builder(backend="openvino").compile(graph)
        for given, expected in imported.runs:
            result = engine(*[tensor.numpy() for tensor in given])
            for error, _ in errors(result, expected):
                assert error <= FLOAT32_ERROR, f"{form}, {given[0].shape}"


@needs_half
def test_openvino_float16(imported: Imported) -> None:
    _form, graph = next(imported.copies())
    engine = Builder(backend="openvino", mode="float16").compile(graph)
    assert engine.manifest["compute"] in ("float16", "bfloat16")
    given, expected = imported.runs[0]
    result = engine(*[tensor.numpy() for tensor in given])
    for _, cosine in errors(result, expected):
        assert cosine >= FLOAT16_COSINE


@pytest.mark.parametrize("mode", ["float32", "float16"])
def test_tensorrt_builds(imported: Imported, mode: str) -> None:
    assert_built_by_tensorrt(imported, mode, 10)


def assert_built_by_tensorrt(imported: Imported, mode: str, least: int) -> None:
    """Build every form, and look for that many products at least."""
    pytest.importorskip("tensorrt_rtx")
    for form, graph in imported.copies():
        types = [(value.name, value.type) for value in graph.inputs]
        options = {"gpu": "sm_89", "layers": True}
        engine = Builder(backend="tensorrt", mode=mode, options=options).compile(graph)
        assert [(port.name, port.type) for port in engine.inputs] == types
        assert engine.manifest["gpus"] == ["sm_89"]
        layers = [CompiledLayer.from_json(layer) for layer in engine.manifest["layers"]]
        products = [layer.product_dtype for layer in layers if layer.is_product]
        assert len(products) >= least, (form, len(products))
        kind = "Half" if mode == "float16" else "Float"
        assert products.count(kind) >= 0.95 * len(products), form


@pytest.mark.parametrize("name", ["vit_base", "bert_base"])
def test_whole_transformers(name: str) -> None:
    model, inputs = make(name)
    dynamic = OptBatch(2)
    example = batched(inputs, 3)
    builder = Builder(backend="openvino")
    program = export(model, ImportRequest(example, builder.plugins, dynamic))
    graph = builder.import_model(program, example, dynamic=dynamic)
    built = Imported(model, inputs, dynamic, {"exported": graph})
    test_openvino_float32(built)
    assert_built_by_tensorrt(built, "float16", 60)


@pytest.mark.parametrize("kind", ["residual network", "transformer encoder"])
@pytest.mark.parametrize("dynamic", [None, OptBatch(2)], ids=["static", "dynamic"])
def test_scripted_models(kind: str, dynamic: OptBatch | None) -> None:
    torch.manual_seed(0)
    model: nn.Module
    if kind == "residual network":
        model, example = ResidualNet().eval(), torch.randn(3, 3, 224, 224)
    else:
        layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, activation="gelu")
        model = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).eval()
        example = torch.randn(3, 50, 256)
    graph = Builder().import_model(jit.script(model), (example,), dynamic=dynamic)
    engine = Builder(backend="openvino").compile(copied(graph))
    for size in (3, 1, 2) if dynamic else (3,):
        result = engine(example[:size].numpy())
        for error, _ in errors(result, eager(model, (example[:size],))):
            assert error <= FLOAT32_ERROR
    for mode in ("float32", "float16"):
        builder = Builder(backend="tensorrt", mode=mode, options={"gpu": "sm_89"})
        assert builder.compile(copied(graph)).manifest["mode"] == mode
