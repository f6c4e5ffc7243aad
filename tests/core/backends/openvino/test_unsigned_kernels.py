"""What calibration makes of tensors that are never much below 0 runs integer kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net
from openvino_kernels import integer_kernels, products

from fwd_core import Builder, Engine
from fwd_core.ir import Graph, Value, ops
from fwd_core.quantize.fidelity import Fidelity
from fwd_core.quantize.placement import place, quantizable

_ACTIVATIONS = {"relu": ops.Relu, "gelu": ops.Gelu, "silu": ops.Silu}


def _built(graph: Graph) -> Engine:
    """With all rewrites, which make constants of quantized weights."""
    return Builder(backend="openvino").compile(graph)


def _layer(net: Net, x: Value, kind: str, name: str) -> Value:
    if kind == "linear":
        return net.linear(x, name, 16, bias=True)
    if kind == "transposed":
        return net.up(x, name, 16, bias=True)
    groups = 16 if kind == "depthwise" else 1
    return net.conv(x, name, 16, 3, groups=groups, bias=True)  # padded: with what stands for 0


def _graph(kind: str, activation: str) -> Graph:
    net = Net()
    shape = (2, 5, 16) if kind == "linear" else (2, 16, 9, 9)
    first = _layer(net, net.input(*shape), "linear" if kind == "linear" else "conv", "first")
    return net.finish(_layer(net, net.add(_ACTIVATIONS[activation](first), "act"), kind, "second"))


def _ranges(graph: Graph, x: np.ndarray[Any, Any]) -> dict[str, float]:
    graph.set_outputs([graph.value("act")], ["act"])
    (act,) = _built(graph).run_list([x])
    return {"x": float(abs(x).max()), "act": float(abs(act).max())}


@integer_kernels
@pytest.mark.parametrize("activation", _ACTIVATIONS)
@pytest.mark.parametrize("kind", ["conv", "depthwise", "transposed", "linear"])
def test_kernels_are_of_integers_and_nearer(kind: str, activation: str) -> None:
    plain = _graph(kind, activation)
    shape = plain.inputs[0].type.static_shape()
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    ranges = _ranges(_graph(kind, activation), x)
    (exact,) = _built(plain).run_list([x])
    found = []
    for unsigned in (False, True):
        graph = _graph(kind, activation)
        assert quantizable(graph) == ["x", "act"]
        place(graph, ranges, unsigned=unsigned)
        engine = _built(graph)
        assert [kernel for kernel in products(engine) if not kernel.is_of_integers] == []
        noise = Fidelity()
        noise.add(exact, engine.run_list([x])[0])
        found.append(noise.sqnr)
    if kind == "transposed" and activation != "relu":
        assert found[0] == found[1]
    else:
        assert found[1] > found[0] + 0.5, found
