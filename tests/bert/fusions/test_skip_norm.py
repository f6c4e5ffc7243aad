"""Normalized sums become one operator, unless others read the sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fusing import compare, normal, only, reasons, weight

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert.fusions.skip_norm import FuseSkipNorm
from fwd_plugins_bert.ops import SkipNorm

ARRAYS = [normal(2, 5, 8), normal(2, 5, 8)]
KINDS = [TensorType(DType.FLOAT32, (2, 5, 8))] * 2
FUSE = [FuseSkipNorm()]


def norm(graph: Graph, total: Value, axes: int = 1, scaled: bool = True) -> Value:
    shape = [size for size in total.type.shape[-axes:] if isinstance(size, int)]
    parameters: Any = [weight(graph, *shape) if scaled else None for _ in range(2)]
    return graph.add(ops.LayerNorm(total, *parameters, axes, 1e-12), name="norm")


def added(graph: Graph, a: Value, b: Value) -> Value:
    return graph.add(ops.Add(a, b), name="sum")


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("order", [0, 1])
def test_a_product_and_what_skips_it(order: int, scaled: bool) -> None:
    def make(graph: Graph, x: Value, y: Value) -> Value:
        product = graph.add(ops.Linear(x, weight(graph, 8, 8), weight(graph, 8)))
        return norm(graph, added(graph, *((product, y) if order else (y, product))), scaled=scaled)

    counts, left = compare(make, ARRAYS, FUSE)
    assert counts == {"skip-norm": 1}
    fused = only(left, SkipNorm)
    assert isinstance(fused.x.producer.op, ops.Linear)
    assert fused.bias is None
    assert (fused.scale is not None) == scaled
    assert fused.epsilon == 1e-12
    assert len(left) == 2


@pytest.mark.parametrize("side", [0, 1])
def test_a_bias_that_is_added(side: int) -> None:
    def make(graph: Graph, x: Value, y: Value) -> Value:
        biased = graph.add(ops.Add(weight(graph, 8), x))
        return norm(graph, added(graph, *((biased, y) if side else (y, biased))))

    counts, left = compare(make, ARRAYS, FUSE)
    assert counts == {"skip-norm": 1}
    fused = only(left, SkipNorm)
    assert fused.bias.type.shape == (8,)
    assert len(left) == 1


def test_a_bias_that_others_read_stays() -> None:
    def make(graph: Graph, x: Value, y: Value) -> Any:
        biased = graph.add(ops.Add(x, weight(graph, 8)))
        return [norm(graph, added(graph, biased, y)), graph.add(ops.Abs(biased))]

    counts, left = compare(make, ARRAYS, FUSE)
    assert counts == {"skip-norm": 1}
    assert only(left, SkipNorm).bias is None


def test_a_sum_that_others_read() -> None:
    def make(graph: Graph, x: Value, y: Value) -> Any:
        total = added(graph, x, y)
        return [norm(graph, total), graph.add(ops.Abs(total))]

    told = reasons(make, KINDS, FuseSkipNorm())
    assert told == ["others read the sum, as where norms come first"]


def test_a_sum_that_the_graph_gives_out() -> None:
    def make(graph: Graph, x: Value, y: Value) -> Any:
        total = added(graph, x, y)
        return [norm(graph, total), total]

    assert len(reasons(make, KINDS, FuseSkipNorm())) == 1


def test_two_axes() -> None:
    def make(graph: Graph, x: Value, y: Value) -> Value:
        return norm(graph, added(graph, x, y), 2)

    assert reasons(make, KINDS, FuseSkipNorm()) == ["it normalizes more than the last axis"]


def test_positions_that_all_share_are_no_skip() -> None:
    def make(graph: Graph, x: Value, _y: Value) -> Value:
        return norm(graph, added(graph, x, graph.constant(np.ones((1, 5, 8), np.float32))))

    assert reasons(make, KINDS, FuseSkipNorm()) == []


def test_a_norm_of_no_sum() -> None:
    assert reasons(lambda graph, x, y: [norm(graph, x), y], KINDS, FuseSkipNorm()) == []
