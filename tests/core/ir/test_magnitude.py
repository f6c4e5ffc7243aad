"""Bounds of what graphs compute: no number exceeds them, and what has none is infinite."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from on_openvino import build, graph_of

from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol
from fwd_core.ir.magnitude import magnitude

F32, F16 = DType.FLOAT32, DType.FLOAT16
B, S, C = 2, 3, 8
Make = Callable[[Graph, Value], Value]
RNG = np.random.default_rng(4)
#: One number far from all others is as many deviations from their mean as there can be.
X = np.zeros((B, S, C), np.float32)
X[:, :, 0] = 1e30


def held(graph: Graph, *shape: int, dtype: DType = F32) -> Value:
    return graph.constant(RNG.standard_normal(shape).astype(dtype.storage))


def norm(graph: Graph, x: Value, epsilon: float = 1e-12) -> Value:
    scale, shift = (held(graph, C, dtype=x.type.dtype) for _ in range(2))
    return graph.add(ops.LayerNorm(x, scale, shift, 1, epsilon))


def bare(graph: Graph, x: Value) -> Value:
    return graph.add(ops.LayerNorm(x, None, None, 2, 1e-5))


def linear(graph: Graph, x: Value, bias: bool = True) -> Value:
    dtype = x.type.dtype
    weight = held(graph, 5, C, dtype=dtype)
    return graph.add(ops.Linear(x, weight, held(graph, 5, dtype=dtype) if bias else None))


def to_keys(graph: Graph, x: Value, swapped: bool) -> Value:
    """A product with positions, as relative ones make scores of queries."""
    query = norm(graph, x)
    positions = held(graph, C, 7)
    if swapped:
        turned = graph.add(ops.Transpose(query, (0, 2, 1)))
        return graph.add(ops.MatMul(turned, positions, transpose_a=True))
    return graph.add(ops.MatMul(query, positions))


BOUNDED: dict[str, Make] = {
    "norm": norm,
    "norm of two axes": bare,
    "linear": lambda g, x: linear(g, norm(g, x)),
    "linear without bias": lambda g, x: linear(g, norm(g, x), False),
    "product": lambda g, x: to_keys(g, x, False),
    "product of swapped axes": lambda g, x: to_keys(g, x, True),
    "quotient": lambda g, x: g.add(ops.Div(norm(g, x), g.constant(np.array(-0.25, np.float32)))),
    "quotients": lambda g, x: g.add(ops.Div(norm(g, x), g.constant(np.arange(1, 9).astype("f")))),
}


@pytest.mark.parametrize("case", BOUNDED)
def test_no_number_exceeds_its_bound(case: str) -> None:
    graph = graph_of(BOUNDED[case], [TensorType(F32, (B, S, C))])
    (result,) = graph.outputs
    bound = magnitude(result)
    assert 0.0 < bound < 1e6
    engine = build(graph)
    for x in (X, -X, RNG.standard_normal(X.shape).astype(np.float32)):
        (got,) = engine.run_list([x])
        assert float(np.abs(got).max()) <= bound


@pytest.mark.parametrize(
    "make",
    [
        lambda g, x: norm(g, x, 0.0),
        lambda g, x: linear(g, x),
        lambda g, x: linear(g, g.add(ops.Cast(norm(g, x), F16))),
        lambda g, x: g.add(ops.MatMul(norm(g, x), x, transpose_b=True)),
        lambda g, x: g.add(ops.Div(norm(g, x), x)),
        lambda g, x: g.add(ops.Div(norm(g, x), g.constant(np.array(0.0, np.float32)))),
        lambda g, x: g.add(ops.Div(norm(g, x), g.constant(np.array(math.nan, np.float32)))),
    ],
    ids=[
        "no epsilon",
        "linear of anything",
        "sums in half",
        "product with anything",
        "quotient by anything",
        "quotient by zero",
        "quotient by NaN",
    ],
)
def test_without_a_bound(make: Make) -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(F32, (B, S, C)))
    assert magnitude(make(graph, x)) == math.inf


def test_counts_that_are_dynamic_have_no_bound() -> None:
    graph, many = Graph(), symbol("many", 1, 3, 8)
    wide = graph.add_input("wide", TensorType(F32, (B, many)))
    assert magnitude(graph.add(ops.LayerNorm(wide, None, None, 1, 1e-5))) == math.inf
    ones = graph.add(ops.Full((many, B), 1.0, F32))
    assert magnitude(ones) == 1.0
    assert magnitude(graph.add(ops.MatMul(ones, ones, transpose_a=True))) == math.inf
    turned = graph.add(ops.MatMul(ones, ones, transpose_b=True))
    assert magnitude(turned) == 2.0 * B
    weight = graph.add(ops.Full((C, many), 1.0, F32))
    tokens = graph.add(ops.Full((B, many), 1.0, F32))
    assert magnitude(graph.add(ops.Linear(tokens, weight))) == math.inf


@pytest.mark.parametrize(
    ("values", "bound"),
    [
        (np.array([-3.0, 2.0], np.float32), 3.0),
        (np.array([-128, 127], np.int8), 128.0),
        (np.array([True, False]), 1.0),
        (np.zeros((0, 2), np.float32), 0.0),
        (np.array([1.0, math.nan, 2.0], np.float32), math.inf),
        (np.array(-math.inf, np.float32), math.inf),
    ],
)
def test_constants(values: np.ndarray[Any, Any], bound: float) -> None:
    assert magnitude(Graph().constant(values)) == bound
