"""What is added to a convolution of integers is added in its kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net
from on_openvino import Pack
from openvino_kernels import integer_kernels

from fwd_core import Builder, Engine, Plugins, hookimpl
from fwd_core.backends.openvino.lowering import FAMILIES, quantization
from fwd_core.backends.openvino.model import lower_graph
from fwd_core.ir import Dim, Graph, ops, symbol
from fwd_core.plugins import registers as reg
from fwd_core.quantize.fidelity import Fidelity
from fwd_core.quantize.placement import place


def _block(
    batch: Dim = 2,
    *,
    activation: type[ops.Operator] | None = ops.Relu,
    swapped: bool = False,
    bias: bool = True,
    last: bool = True,
    read: bool = False,
    skip: tuple[str, ...] = (),
) -> Graph:
    """conv-relu-conv-relu-conv, to which the first relu is added; quantized."""
    net = Net()
    x = net.input(batch, 16, 9, 9)
    x = net.add(ops.Relu(net.conv(x, "stem", 16, 3)), "relu")
    y = net.add(ops.Relu(net.conv(x, "middle", 16, 3)), "inner")
    y = net.conv(y, "main", 16, 3, bias=bias)
    total = net.add(ops.Add(x, y) if swapped else ops.Add(y, x), "sum")
    out = total if activation is None else net.add(activation(total), "out")  # type: ignore[call-arg]
    outputs = [net.conv(out, "last", 16)] if last else [out]
    graph = net.finish(*outputs, *([total] if read else []))
    ranges = {"x": 4.0, "relu": 30.0, "inner": 200.0, "sum": 900.0, "out": 900.0}
    place(graph, ranges, unsigned=True, skip=skip)
    return graph.verify()


def _built(graph: Graph) -> Engine:
    return Builder(backend="openvino").compile(graph)


def _adding(engine: Engine) -> list[tuple[str, str]]:
    """Kind and type of the kernels that the addition is a part of."""
    plan: Any = engine.plan
    infos = [node.get_rt_info() for node in plan.compiled.get_runtime_model().get_ordered_ops()]
    keys = ("layerType", "outputPrecisions", "originalLayersNames")
    told = [tuple(info[key].astype(str) for key in keys) for info in infos]
    return [(kind, dtype) for kind, dtype, layers in told if "sum" in layers.split(",")]


@integer_kernels
@pytest.mark.parametrize("batch", [2, symbol("batch", 1, 2, 4)], ids=["static", "dynamic"])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("activation", [None, ops.Relu, ops.Silu])
def test_the_addition_is_part_of_the_convolution(
    activation: type[ops.Operator] | None, swapped: bool, batch: Dim
) -> None:
    engine = _built(_block(batch, activation=activation, swapped=swapped))
    assert _adding(engine) == [("Convolution", "i8" if activation is None else "u8")]


class _Composed(Pack):
    """Without lowerings of quantization: all is computed in floats."""

    @hookimpl
    def fwd_register_lowerings(self, register: reg.LoweringRegister) -> None:
        for module in FAMILIES:
            if module is not quantization:
                register.add_module(module)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", [None, ops.Relu])
def test_it_computes_what_the_graph_says(activation: type[ops.Operator] | None, bias: bool) -> None:
    x = np.random.default_rng(1).standard_normal((2, 16, 9, 9)).astype(np.float32)
    composed = Builder(backend="openvino", plugins=Plugins({"composed": _Composed()}))
    graphs = [_block(activation=activation, bias=bias) for _ in range(2)]
    exact = composed.compile(graphs[0]).run_list([x])[0]
    found = Fidelity()
    found.add(exact, _built(graphs[1]).run_list([x])[0])
    # Numbers next to a tie may be rounded the other way: a step of 255, of few of them.
    assert found.sqnr > 60


@pytest.mark.parametrize(
    ("given", "bounded"),
    [
        ({}, True),
        ({"activation": ops.Abs}, False),  # convolutions take in no other activation
        ({"last": False}, False),  # the sum stays in float
        ({"read": True}, False),
        ({"skip": ("main",)}, False),
        ({"skip": ("sum",)}, False),
    ],
    ids=lambda one: str(one),
)
def test_others_are_left_alone(given: dict[str, Any], bounded: bool) -> None:
    builder = Builder(backend="openvino")
    graph = _block(**given)
    builder._prepare(graph, *builder._target())
    model = lower_graph(graph, builder.plugins.lowerings, builder.events).model
    levels = [
        node.get_attributes()["levels"]
        for node in model.get_ordered_ops()
        if node.get_type_name() == "FakeQuantize"
    ]
    assert levels.count(1 << 24) == bounded
