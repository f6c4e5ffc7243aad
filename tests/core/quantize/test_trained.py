"""Models that were trained with quantization have pairs of their own."""

from __future__ import annotations

import numpy as np
from nets import Net, everything, lines

from fwd_core.ir import Tensor, Value, ops
from fwd_core.quantize.placement import place, quantizable


def _faked(net: Net, x: Value, name: str) -> Value:
    scale = net.graph.constant(Tensor(np.array(0.5, np.float32)), name=f"{name}.scale")
    small = net.add(ops.Quantize(x, scale, low=-127), f"{name}.small")
    return net.add(ops.Dequantize(small, scale), name)


def test_what_the_model_quantizes_is_left_as_it_is() -> None:
    net = Net()
    x = net.input(2, 4)
    weight = net.constant(4, 4, name="w")
    product = net.add(ops.Linear(_faked(net, x, "fx"), _faked(net, weight, "fw")), "fc")
    graph = net.finish(product)
    before = str(graph)
    assert quantizable(graph) == []
    placement = place(graph, {})
    assert str(graph) == before
    assert placement.quantized == {"fc": "Linear, as the model has it"}
    assert placement.coverage == 1.0
    assert placement.unquantized == {}


def test_the_rest_of_such_a_model_is_placed() -> None:
    net = Net()
    fake = _faked(net, net.input(2, 4), "fake")
    moved = net.add(ops.Reshape(fake, (4, 2)), "moved")
    graph = net.finish(net.linear(net.linear(moved, "one"), "two"))
    assert quantizable(graph) == ["one"]
    placement = place(graph, {"one": 3.0})
    assert lines(graph, ops.Linear, ops.Reshape) == [
        "moved = Reshape(fake)",
        "one = Linear(moved, one.weight/dequantized)",
        "two = Linear(one/dequantized, two.weight/dequantized)",
    ]
    assert list(placement.quantized) == ["moved", "one", "two"]


def test_what_is_added_may_be_quantized_by_the_model() -> None:
    net = Net()
    fake = _faked(net, net.input(1, 4, 4, 4), "fake")
    total = net.add(ops.Add(net.conv(fake, "one"), fake), "sum")
    graph = net.finish(net.conv(total, "two"))
    placement = place(graph, everything(graph))
    assert placement.quantized["sum"] == "residual addition"
    assert lines(graph, ops.Add) == ["sum = Add(one, fake)"]


def test_a_join_with_a_scale_of_the_model_is_quantized_after_it() -> None:
    net = Net()
    fake = _faked(net, net.input(1, 4, 4, 4), "fake")
    joined = net.add(ops.Concat((fake, net.conv(fake, "one")), 1), "joined")
    graph = net.finish(net.conv(joined, "two"))
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Concat) == ["joined = Concat(fake, one)"]
    assert list(placement.scales) == ["joined"]
