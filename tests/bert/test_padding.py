"""Which masks only remove padding, and which tokens they keep."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fusing import number

from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol
from fwd_plugins_bert.padding import padding

F32, BOOL, I64 = DType.FLOAT32, DType.BOOL, DType.INT64
Make = Callable[[Graph, Value], Value]


def wide(graph: Graph, tokens: Value) -> Value:
    return graph.add(ops.Unsqueeze(tokens, (1, 2)))


def to_float(graph: Graph, x: Value) -> Value:
    return graph.add(ops.Cast(x, F32))


def to_bool(graph: Graph, x: Value) -> Value:
    return graph.add(ops.Cast(x, BOOL))


def chosen(graph: Graph, keep: Value, kept: float, removed: float) -> Value:
    return graph.add(ops.Where(keep, number(graph, kept), number(graph, removed)))


def old(graph: Graph, tokens: Value) -> Value:
    left = graph.add(ops.Sub(number(graph, 1.0), to_float(graph, wide(graph, tokens))))
    return graph.add(ops.Mul(left, number(graph, -1e4)))


def expanded(graph: Graph, tokens: Value) -> Value:
    batch, length = tokens.type.shape
    return graph.add(ops.Expand(wide(graph, to_bool(graph, tokens)), (batch, 1, length, length)))


def equal(graph: Graph, tokens: Value, value: int) -> Value:
    return graph.add(ops.Equal(wide(graph, tokens), graph.constant(np.array(value))))


CASES: dict[str, tuple[Make, int, float]] = {
    "bool": (lambda g, t: wide(g, to_bool(g, t)), 1, -math.inf),
    "bool, expanded": (expanded, 1, -math.inf),
    "not padding": (lambda g, t: g.add(ops.Not(wide(g, to_bool(g, t)))), 0, -math.inf),
    "least number": (lambda g, t: chosen(g, expanded(g, t), 0.0, F32.limits[0]), 1, F32.limits[0]),
    "padding is chosen": (lambda g, t: chosen(g, expanded(g, t), -math.inf, 0.0), 0, -math.inf),
    "old models": (old, 1, -1e4),
    "equal 0": (lambda g, t: equal(g, t, 0), 0, -math.inf),
    "equal 1": (lambda g, t: equal(g, t, 1), 1, -math.inf),
    "zeros of the same shape": (
        lambda g, t: g.add(
            ops.Reshape(
                g.add(
                    ops.Where(
                        to_bool(g, t), g.add(ops.Full(t.type.shape, 0.0, F32)), number(g, -1e4)
                    )
                ),
                (t.type.shape[0], 1, 1, t.type.shape[1]),
            )
        ),
        1,
        -1e4,
    ),
    "reshaped": (
        lambda g, t: g.add(ops.Reshape(to_bool(g, t), (*t.type.shape[:1], 1, 1, t.type.shape[1]))),
        1,
        -math.inf,
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sizes", [(2, 5), (1, 5), (2, 1), (1, 1), "dynamic"])
def test_padding(case: str, sizes: Any) -> None:
    make, kept, added = CASES[case]
    if sizes == "dynamic":
        sizes = (symbol("batch", 1, 2, 4), symbol("length", 1, 5, 8))
    graph = Graph()
    tokens = graph.add_input("tokens", TensorType(I64, sizes))
    found = padding(make(graph, tokens))
    assert found is not None
    made = found.tokens.producer
    assert found.tokens is tokens or (made is not None and made.op.x is tokens)  # type: ignore[attr-defined]
    assert found.kept == kept
    assert found.added == pytest.approx(added)


def _of_queries(graph: Graph, tokens: Value) -> Value:
    rows = graph.add(ops.Unsqueeze(to_bool(graph, tokens), (1, 3)))
    return graph.add(ops.And(wide(graph, to_bool(graph, tokens)), rows))


@pytest.mark.parametrize(
    "make",
    [
        _of_queries,
        lambda g, t: g.add(ops.Unsqueeze(to_bool(g, t), (1, 3))),
        lambda g, t: to_float(g, wide(g, t)),
        lambda g, t: chosen(g, wide(g, to_bool(g, t)), -1.0, -2.0),
        lambda g, t: chosen(g, wide(g, to_bool(g, t)), 0.0, 0.0),
        lambda g, t: g.add(ops.Div(number(g, 1.0), to_float(g, wide(g, t)))),
        lambda g, t: g.add(ops.Unsqueeze(to_bool(g, t), (0,))),
        lambda g, t: g.constant(np.zeros((2, 1, 1, 5), np.float32)),
        lambda g, t: g.add(ops.Transpose(wide(g, to_bool(g, t)), (3, 1, 2, 0))),
    ],
)
def test_what_is_none(make: Make) -> None:
    graph = Graph()
    tokens = graph.add_input("tokens", TensorType(I64, (2, 5)))
    assert padding(make(graph, tokens)) is None
