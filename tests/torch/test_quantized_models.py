"""Models that quantize themselves keep it: weights in 8 bits, and integer kernels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")
pytest.importorskip("torch.ao.quantization.fx._decomposed")

from openvino_kernels import integer_kernels, products
from torch.ao.quantization import (
    FakeQuantize,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
)
from torch_models import importing, scripted, traced

from fwd_core import Builder
from fwd_core.ir import DType, Graph, ops

OPS = torch.ops.quantized_decomposed
X = torch.randn(2, 16, 12, 12, generator=torch.Generator().manual_seed(0))


class Simulated(torch.nn.Module):
    """What a FakeQuantize computes: neither torch's tracer nor its export takes its conditions."""

    def __init__(self, of: FakeQuantize) -> None:
        super().__init__()
        self.register_buffer("scale", of.scale.clone())
        self.register_buffer("zero", of.zero_point.clone())
        self.low, self.high, self.axis = of.quant_min, of.quant_max, of.ch_axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.axis == -1:
            return torch.fake_quantize_per_tensor_affine(
                x, self.scale, self.zero, self.low, self.high
            )
        return torch.fake_quantize_per_channel_affine(
            x, self.scale, self.zero, self.axis, self.low, self.high
        )


class Trained(torch.nn.Module):
    """Quantization-aware training after its end: conv, relu, conv with a residual, and a head."""

    def __init__(self, symmetric: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
        low, high, dtype = (-128, 127, torch.qint8) if symmetric else (0, 255, torch.quint8)

        def activation() -> FakeQuantize:
            return FakeQuantize(MovingAverageMinMaxObserver, low, high, dtype=dtype, qscheme=scheme)

        def weight() -> FakeQuantize:
            return FakeQuantize(PerChannelMinMaxObserver, -127, 127, dtype=torch.qint8, ch_axis=0,
                                qscheme=torch.per_channel_symmetric)  # fmt: skip

        self.first = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.second = torch.nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.head = torch.nn.Linear(16, 8)
        self.activations = torch.nn.ModuleList(activation() for _ in range(5))
        self.weights = torch.nn.ModuleList(weight() for _ in range(3))
        self.train()
        self(X)
        self.apply(torch.ao.quantization.disable_observer)
        self.eval()

    def simulated(self) -> Trained:
        """The same without conditions."""
        self.activations = torch.nn.ModuleList(map(Simulated, self.activations))
        self.weights = torch.nn.ModuleList(map(Simulated, self.weights))
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activations[0](x)
        y = torch.conv2d(x, self.weights[0](self.first.weight), self.first.bias, padding=1)
        y = self.activations[1](torch.relu(y))
        weight = self.weights[1](self.second.weight)
        y = torch.conv2d(y, weight, self.second.bias, padding=1, groups=4)
        y = self.activations[2](torch.relu(self.activations[3](y) + x))
        y = self.activations[4](y.mean((2, 3)))
        return torch.nn.functional.linear(y, self.weights[2](self.head.weight), self.head.bias)


class Converted(torch.nn.Module):
    """A program as torch's quantization of exported programs leaves it."""

    def __init__(self) -> None:
        super().__init__()
        maker = torch.Generator().manual_seed(1)

        def integers(*shape: int) -> torch.Tensor:
            return torch.randint(-127, 128, shape, generator=maker, dtype=torch.int8)

        self.register_buffer("w", integers(8, 16, 3, 3))
        self.register_buffer("s", torch.rand(8, generator=maker) / 300 + 1e-4)
        self.register_buffer("z", torch.zeros(8, dtype=torch.int64))
        self.register_buffer("b", torch.randint(-900, 900, (8,), generator=maker).int())
        self.register_buffer("v", integers(4, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = OPS.quantize_per_tensor.default(x, 0.03, 4, -128, 127, torch.int8)
        x = OPS.dequantize_per_tensor.default(q, 0.03, 4, -128, 127, torch.int8)
        w = OPS.dequantize_per_channel.default(self.w, self.s, self.z, 0, -127, 127, torch.int8)
        b = OPS.dequantize_per_channel.default(
            self.b, self.s, self.z, 0, -(2**31), 2**31 - 1, torch.int32
        )
        y = torch.relu(torch.conv2d(x, w, b, padding=1)).mean((2, 3))
        q = OPS.quantize_per_tensor.default(y, 0.02, 0, 0, 255, torch.uint8)
        y = OPS.dequantize_per_tensor.default(q, 0.02, 0, 0, 255, torch.uint8)
        v = OPS.dequantize_per_tensor.default(self.v, 0.01, 0, -127, 127, torch.int8)
        return torch.nn.functional.linear(y, v)


MODELS = {
    "symmetric": (lambda: Trained(symmetric=True), 3),
    "affine": (lambda: Trained(symmetric=False), 3),
    "converted": (lambda: Converted().eval(), 2),
}
FORMS = {
    "traced": lambda model: traced(model, (X,)),
    "scripted": scripted,
    "exported": lambda model: torch.export.export(model, (X,)),
    "decomposed": lambda model: torch.export.export(model, (X,)).run_decompositions(),
}


def _graph(name: str, form: str) -> Graph:
    if (name, form) == ("converted", "scripted"):
        pytest.skip("torch scripts no operators with their overloads' names")
    model = MODELS[name][0]()
    if isinstance(model, Trained) and form != "scripted":
        model = model.simulated()
    return importing(FORMS[form](model), (X,))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_weights_are_integers(name: str, form: str) -> None:
    graph = _graph(name, form)
    weights = [
        node.op.x.constant
        for node in graph
        if isinstance(node.op, ops.Dequantize) and node.op.x.constant is not None
    ]
    assert [weight.dtype for weight in weights if weight is not None] == [DType.INT8] * MODELS[
        name
    ][1]
    held = [node.op for node in graph if isinstance(node.op, ops.Constant)]
    assert all(op.type.rank < 2 or op.type.dtype is DType.INT8 for op in held)


@integer_kernels
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_products_are_of_integers_and_right(name: str, form: str) -> None:
    graph = _graph(name, form)
    with Builder(backend="openvino").compile(graph) as engine:
        found = products(engine)
        (got,) = engine.run_list([X.numpy()])
    assert len(found) == MODELS[name][1]
    assert [kernel for kernel in found if not kernel.is_of_integers] == []
    with torch.no_grad():
        wanted = MODELS[name][0]()(X).numpy()
    noise = float(np.mean((got - wanted) ** 2)) / float(np.mean(wanted**2))
    assert noise < 1e-3  # here and there a step of 8 bits, next to a tie


def test_rtx_has_integer_kernels_of_the_symmetric_one() -> None:
    pytest.importorskip("tensorrt_rtx")
    options: Any = {"flavour": "tensorrt_rtx", "layers": True}
    builder = Builder(backend="tensorrt", options=options)
    plan: Any = builder.compile(_graph("symmetric", "traced")).plan
    from fwd_core.backends.tensorrt.layers import CompiledLayer

    layers = [CompiledLayer.from_json(document) for document in plan.manifest["layers"]]
    assert [layer.product_dtype for layer in layers if layer.is_product] == ["Int8"] * 3


@pytest.mark.parametrize("form", ["traced", "exported"])
def test_files_load_where_nothing_is_imported_yet(form: str, tmp_path: Path) -> None:
    """Torch registers these operators only when a module of its own is imported."""
    path = tmp_path / ("model.pt2" if form == "exported" else "model.pt")
    made = FORMS[form](Converted().eval())
    if form == "exported":
        torch.export.save(made, path)
    else:
        made.save(path)
    script = f"""
import torch
from fwd_core import Builder
graph = Builder().import_model({str(path)!r}, (torch.zeros(2, 16, 12, 12),))
print([type(node.op).__name__ for node in graph].count("Quantize"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("2", 0), done.stderr


def test_what_is_not_of_8_bits_is_computed() -> None:
    class Wide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("w", torch.tensor([0.123, 4.5]))
            self.register_buffer("scale", torch.tensor([0.1, 0.2]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            wide = torch.fake_quantize_per_tensor_affine(self.w, 1e-3, 0, -32768, 32767)
            zero = torch.full((2,), 0.5)
            return (
                x
                + wide
                + torch.fake_quantize_per_channel_affine(self.w, self.scale, zero, 0, -128, 127)
            )

    graph = importing(traced(Wide(), (torch.ones(2),)), (torch.ones(2),))
    assert {type(node.op) for node in graph} == {ops.Constant, ops.Add}
    with Builder(backend="openvino").compile(graph) as engine:
        (got,) = engine.run_list([np.ones(2, np.float32)])
    np.testing.assert_allclose(got, Wide()(torch.ones(2)).numpy(), rtol=1e-6)
