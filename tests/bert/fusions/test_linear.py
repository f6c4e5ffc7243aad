"""A product and a sum with constants become one linear layer, and their likes stay."""

from __future__ import annotations

from typing import Any

import pytest
from fusing import compare, normal, only, reasons, weight

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert.fusions.linear import FuseLinear

X = normal(2, 5, 8)
KIND = [TensorType(DType.FLOAT32, (2, 5, 8))]
FUSE = [FuseLinear()]


def product(graph: Graph, x: Value, turned: bool = False) -> Value:
    shape = (6, 8) if turned else (8, 6)
    return graph.add(ops.MatMul(x, weight(graph, *shape), transpose_b=turned), name="product")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("bias", ["last", "first"])
def test_a_product_and_a_sum(turned: bool, bias: str) -> None:
    def make(graph: Graph, x: Value) -> Value:
        both = [product(graph, x, turned), weight(graph, 6)]
        return graph.add(ops.Add(*(both if bias == "last" else reversed(both))))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"linear": 1}
    linear = only(left, ops.Linear)
    assert linear.weight.type.shape == (6, 8)
    assert len(left) == 1


def _square(graph: Graph, x: Value) -> Value:
    """A weight in front."""
    return graph.add(ops.MatMul(weight(graph, 2, 6, 5), x))


def _swapped(graph: Graph, x: Value) -> Value:
    made = graph.add(ops.MatMul(x, weight(graph, 5, 6), transpose_a=True))
    return graph.add(ops.Add(made, weight(graph, 6)))


def _read(graph: Graph, x: Value) -> Any:
    made = product(graph, x)
    return [graph.add(ops.Add(made, weight(graph, 6))), graph.add(ops.Abs(made))]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_read, ["others read the product without its bias"]),
        (_swapped, []),
        (lambda graph, x: graph.add(ops.Add(_square(graph, x), weight(graph, 8))), []),
        (lambda graph, x: graph.add(ops.Add(product(graph, x), weight(graph, 5, 6))), []),
        (lambda graph, x: graph.add(ops.Sub(product(graph, x), weight(graph, 6))), []),
        (
            lambda graph, x: graph.add(
                ops.Add(graph.add(ops.MatMul(x, weight(graph, 2, 8, 6))), weight(graph, 6))
            ),
            [],
        ),
        (
            lambda graph, x: graph.add(
                ops.Add(graph.add(ops.MatMul(x, x, transpose_b=True)), weight(graph, 5))
            ),
            [],
        ),
    ],
)
def test_what_is_left(make: Any, told: list[str]) -> None:
    assert reasons(make, KIND, FuseLinear()) == told


def test_integers_are_no_layer() -> None:
    def make(graph: Graph, x: Value) -> Value:
        whole = graph.constant(normal(8, 6).astype("int32"))
        bias = graph.constant(normal(6).astype("int32"))
        return graph.add(ops.Add(graph.add(ops.MatMul(x, whole)), bias))

    assert reasons(make, [TensorType(DType.INT32, (5, 8))], FuseLinear()) == []
