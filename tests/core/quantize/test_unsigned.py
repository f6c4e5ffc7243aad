"""Tensors that are never much below 0, in uint8 where the backend takes it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import Net, everything
from on_openvino import run

from fwd_core.ir import DType, Graph, Value, ops
from fwd_core.quantize.least import least
from fwd_core.quantize.placement import place
from fwd_core.quantize.steps import Steps

_BOUNDED: dict[str, Callable[[Value], ops.Operator]] = {
    "relu": lambda x: ops.Relu(x),
    "sigmoid": lambda x: ops.Sigmoid(x),
    "softmax": lambda x: ops.Softmax(x, 0),
    "abs": lambda x: ops.Abs(x),
    "exp": lambda x: ops.Exp(x),
    "square": lambda x: ops.Mul(x, x),
    "gelu": lambda x: ops.Gelu(x),
    "gelu of tanh": lambda x: ops.Gelu(x, "tanh"),
    "silu": lambda x: ops.Silu(x),
    "mish": lambda x: ops.Mish(x),
    "elu": lambda x: ops.Elu(x, 0.7, 1.5),
    "clamp": lambda x: ops.Clamp(x, -0.25, 6.0),
    "clamp above 0": lambda x: ops.Clamp(x, 0.5, 6.0),
    "clamp the wrong way round": lambda x: ops.Clamp(x, 2.0, -3.0),
}


@pytest.mark.parametrize("name", _BOUNDED)
def test_nothing_is_below_what_is_said(name: str) -> None:
    pytest.importorskip("openvino")
    x = np.concatenate([np.linspace(-12, 12, 4001), [0.0]]).astype(np.float32)
    bounds = []

    def make(graph: Graph, x: Value) -> Value:
        made = graph.add(_BOUNDED[name](x))
        bounds.append(least(graph)[made])
        return made

    (found,) = run(make, x)
    (bound,) = bounds
    assert bound <= 0
    assert bound <= found.min()
    assert min(0.0, found.min()) - bound < 0.002  # and it is close, so steps are fine


def _bound(build: Callable[[Net, Value], Value]) -> float:
    net = Net()
    made = build(net, net.input(1, 4, 4, 4))
    return least(net.graph).get(made, -math.inf)


def test_bounds_pass_what_moves_and_add_up() -> None:
    def relu(net: Net, x: Value, name: str = "relu") -> Value:
        return net.add(ops.Relu(x), name)

    def clamp(net: Net, x: Value) -> Value:
        return net.add(ops.Clamp(x, -2.0, None), "clamp")

    assert _bound(lambda n, x: n.pool(relu(n, x), "pool")) == 0
    assert _bound(lambda n, x: n.pool(clamp(n, x), "pool", ops.AveragePool)) == -2
    assert _bound(lambda n, x: n.add(ops.Concat((relu(n, x), clamp(n, x)), 1), "cat")) == -2
    assert _bound(lambda n, x: n.add(ops.Concat((relu(n, x), x), 1), "cat")) == -math.inf
    assert _bound(lambda n, x: n.add(ops.Add(clamp(n, x), clamp(n, x)), "sum")) == -4
    assert _bound(lambda n, x: n.add(ops.Add(relu(n, x), x), "sum")) == -math.inf
    assert _bound(lambda n, x: n.add(ops.Mul(relu(n, x, "a"), relu(n, x, "b")), "mul")) == 0
    assert _bound(lambda n, x: n.add(ops.Mul(relu(n, x), x), "mul")) == -math.inf
    assert _bound(lambda n, x: n.add(ops.Clamp(x, None, 6.0), "clamp")) == -math.inf
    assert _bound(lambda n, x: n.add(ops.Elu(x, -1.0), "elu")) == -math.inf


@given(st.floats(-10, 0), st.floats(1e-3, 1e3))
def test_steps_cover_from_the_bound_to_the_range(bound: float, amax: float) -> None:
    steps = Steps.above(bound, amax)
    low, high = map(int, steps.dtype.limits)
    greatest = (high - steps.zero) * steps.scale
    assert greatest == pytest.approx(amax)
    assert (low - steps.zero) * steps.scale <= max(bound, -amax) + 1e-9 * amax
    assert steps.scale <= Steps.around_zero(amax).scale
    if bound == 0:
        assert steps == Steps(amax / 255, 0, DType.UINT8)


@pytest.mark.parametrize(
    ("bound", "amax"), [(-1.0, 1.0), (-5.0, 1.0), (-math.inf, 1.0), (-0.999, 1.0), (0.0, 2e-36)]
)
def test_steps_are_around_zero_where_others_gain_nothing(bound: float, amax: float) -> None:
    assert Steps.above(bound, amax) == Steps(amax / 127)


def _formats(graph: Graph) -> dict[str, tuple[DType, int]]:
    found = {}
    for node in graph:
        op = node.op
        if isinstance(op, ops.Quantize) and op.axis is None:
            zero = op.zero_point
            number = 0 if zero is None or zero.constant is None else int(zero.constant.data)
            found[op.x.name] = (op.dtype, number)
    return found


def _two_products(activation: str) -> Graph:
    net = Net()
    act = net.add(_BOUNDED[activation](net.conv(net.input(1, 4, 4, 4), "first")), "act")
    return net.finish(net.conv(act, "second"))


def test_bytes_begin_at_what_an_activation_never_is_below() -> None:
    for activation, zero in (("relu", 0), ("gelu", math.ceil(0.1705 / 3.1705 * 255))):
        graph = _two_products(activation)
        placement = place(graph, everything(graph), unsigned=True)
        assert _formats(graph) == {"x": (DType.INT8, 0), "act": (DType.UINT8, zero)}
        assert placement.scales["act"] == pytest.approx(3.0 / (255 - zero))


def test_bytes_are_around_zero_unless_asked_for() -> None:
    graph = _two_products("relu")
    place(graph, everything(graph))
    assert set(_formats(graph).values()) == {(DType.INT8, 0)}


def test_tensors_that_share_a_scale_share_the_zero() -> None:
    net = Net()
    x = net.conv(net.input(1, 4, 4, 4), "stem")
    parts = (net.add(ops.Relu(x), "relu"), net.add(ops.Silu(x), "silu"))
    graph = net.finish(net.conv(net.add(ops.Concat(parts, 1), "cat"), "last"))
    place(graph, {"x": 1.0, "relu": 2.0, "silu": 4.0, "cat": 4.0}, unsigned=True)
    formats = _formats(graph)
    assert formats["relu"] == formats["silu"] == (DType.UINT8, math.ceil(0.279 / 4.279 * 255))


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_multiplied_from_the_place_of_a_weight_is_around_zero(moved: bool) -> None:
    net = Net()
    x = net.input(1, 4, 4)
    a, b = (net.add(ops.Relu(net.linear(x, f"{one}.in")), one) for one in "ab")
    right = net.add(ops.Transpose(b, (0, 2, 1)), "turned") if moved else b
    graph = net.finish(net.add(ops.MatMul(a, right), "product"))
    place(graph, everything(graph), unsigned=True)
    assert _formats(graph)["a"] == (DType.UINT8, 0)
    assert _formats(graph)["b"] == (DType.INT8, 0)


@pytest.mark.parametrize(("activation", "dtype"), [("relu", DType.UINT8), ("silu", DType.INT8)])
def test_what_a_transposed_convolution_reads_has_no_zero_point(
    activation: str, dtype: DType
) -> None:
    net = Net()
    act = net.add(_BOUNDED[activation](net.conv(net.input(1, 4, 4, 4), "first")), "act")
    graph = net.finish(net.up(act, "second"))
    place(graph, everything(graph), unsigned=True)
    assert _formats(graph)["act"] == (dtype, 0)


def test_attention_is_around_zero() -> None:
    net = Net()
    query, key, value = (
        net.add(ops.Relu(net.linear(net.input(1, 2, 4, 8, name=f"in_{one}"), f"{one}.l", 8)), one)
        for one in ("q", "k", "v")
    )
    graph = net.finish(net.add(ops.Attention(query, key, value), "attention"))
    place(graph, everything(graph), attention=True, unsigned=True)
    formats = _formats(graph)
    assert {formats[one] for one in "qkv"} == {(DType.INT8, 0)}
