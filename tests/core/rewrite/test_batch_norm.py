"""Batch normalization as part of what is before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("openvino")

from cleaning import apply
from nets import Net, lines
from on_openvino import build

from fwd_core.ir import Graph, Value, ops
from fwd_core.rewrite.batch_norm import FoldBatchNorm

_Make = Callable[[Net, bool], Value]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda net, bias: net.conv(net.input(2, 4, 5), "p", kernel=3, bias=bias),
        lambda net, bias: net.conv(net.input(2, 4, 5, 5), "p", 6, groups=2, bias=bias),
        lambda net, bias: net.conv(net.input(2, 4, 3, 4, 4), "p", groups=4, bias=bias),
        lambda net, bias: net.up(net.input(2, 4, 5, 5), "p", 3, bias=bias),
        lambda net, bias: net.up(net.input(2, 4, 5, 5), "p", 6, groups=2, bias=bias),
        lambda net, bias: net.up(net.input(2, 4, 5), "p", 4, groups=4, bias=bias),
        lambda net, bias: net.linear(net.input(3, 4), "p", bias=bias),
    ],
)
def test_the_product_computes_the_same(make: _Make, bias: bool) -> None:
    def graph() -> Graph:
        net = Net(3)
        return net.finish(net.norm(make(net, bias), "norm"))

    folded = graph()
    assert apply(FoldBatchNorm(), folded)[0] == 1
    (line,) = lines(folded)
    shift = "p.bias/folded" if bias else "norm/bias"
    assert line.startswith("norm = ")
    assert line.endswith(f"(x, p.weight/folded, {shift})")
    assert [node.name for node in folded] == ["p.weight/folded", shift, "norm"]
    x = np.random.default_rng(1).standard_normal(folded.inputs[0].type.static_shape())
    x = x.astype(np.float32)
    (expected,), (got,) = build(graph()).run_list([x]), build(folded).run_list([x])
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


def test_the_product_is_told_of_beside_the_normalization() -> None:
    net = Net()
    graph = net.finish(net.norm(net.norm(net.conv(net.input(1, 2, 4, 4), "p"), "one"), "two"))
    assert apply(FoldBatchNorm(), graph)[0] == 2
    assert graph.outputs[0].producer is not None
    assert graph.outputs[0].producer.location.joined == ("p", "one", "two")
    assert graph.outputs[0].name == "two"  # what ranges of tensors are kept by


def _read_twice(net: Net) -> tuple[Value, ...]:
    product = net.conv(net.input(1, 2, 4, 4), "p")
    return net.norm(product, "norm"), net.add(ops.Relu(product), "relu")


def _an_output(net: Net) -> tuple[Value, ...]:
    product = net.conv(net.input(1, 2, 4, 4), "p")
    return net.norm(product, "norm"), product


def _of_an_input(net: Net) -> tuple[Value, ...]:
    return (net.norm(net.input(1, 2, 4, 4), "norm"),)


def _of_features(net: Net) -> tuple[Value, ...]:
    return (net.norm(net.linear(net.input(1, 4, 4), "p"), "norm"),)


def _of_no_product(net: Net) -> tuple[Value, ...]:
    return (net.norm(net.add(ops.Relu(net.input(1, 2, 4, 4)), "relu"), "norm"),)


def _of_a_weight_that_is_computed(net: Net) -> tuple[Value, ...]:
    x, weight = net.input(1, 2, 4, 4), net.input(4, 2, 1, 1, name="w")
    return (net.norm(net.conv(x, "p", weight=weight), "norm"),)


def _with_statistics_that_are_computed(net: Net) -> tuple[Value, ...]:
    mean, variance = net.input(4, name="mean"), net.input(4, name="variance")
    product = net.conv(net.input(1, 2, 4, 4), "p")
    return (net.add(ops.BatchNorm(product, mean, variance, None, None, 0.1), "norm"),)


@pytest.mark.parametrize(
    "make",
    [
        _read_twice,
        _an_output,
        _of_an_input,
        _of_features,
        _of_no_product,
        _of_a_weight_that_is_computed,
        _with_statistics_that_are_computed,
    ],
)
def test_other_normalizations_stay(make: Callable[[Net], tuple[Value, ...]]) -> None:
    net = Net()
    graph = net.finish(*make(net))
    before = str(graph)
    assert apply(FoldBatchNorm(), graph)[0] == 0
    assert str(graph) == before


@pytest.mark.parametrize("kept", ["p", "norm"])
def test_what_is_kept_stays(kept: str) -> None:
    net = Net()
    graph = net.finish(net.norm(net.conv(net.input(1, 2, 4, 4), "p"), "norm"))
    assert FoldBatchNorm(frozenset({kept})).apply(graph) == 0


def test_a_weight_that_others_read_stays_for_them() -> None:
    net = Net()
    x, weight = net.input(1, 2, 4, 4), net.constant(4, 2, 1, 1, name="w")
    one = net.norm(net.conv(x, "one", weight=weight), "norm")
    graph = net.finish(one, net.conv(x, "two", weight=weight))
    assert apply(FoldBatchNorm(), graph)[0] == 1
    assert lines(graph) == [
        "norm = Convolution(x, w/folded, norm/bias)",
        "two = Convolution(x, w)",
    ]
