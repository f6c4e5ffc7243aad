"""Operators on tensors that have no elements."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from cleaning import apply, finish
from values import B, kind

from fwd_core.ir import DType, Graph, Operator, TensorType, Value, ops
from fwd_core.rewrite.cleanup import RemoveEmpty

Make = Callable[[Value], Operator]


def _graph(make: Make, shape: TensorType) -> Graph:
    graph = Graph()
    x = graph.add_input("x", shape)
    return finish(graph, graph.add(make(x), name="y"))


EMPTY: dict[str, Make] = {
    "relu": ops.Relu,
    "cast": lambda x: ops.Cast(x, DType.BOOL),
    "reduce a kept axis": lambda x: ops.ReduceSum(x, (0,)),
    "slice": lambda x: ops.Slice(x, 0, 0, 1),
    "reshape": lambda x: ops.Reshape(x, (0, 7)),
    "concat": lambda x: ops.Concat((x, x), 1),
}


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_results_without_elements(make: Make) -> None:
    graph = _graph(make, kind(B, 0))
    wanted = graph.outputs[0].type
    assert apply(RemoveEmpty(), graph) == (1, ["Full y"])
    assert graph.outputs[0].type == wanted
    assert apply(RemoveEmpty(), graph)[0] == 0


OF_NOTHING: dict[str, tuple[Make, float | bool]] = {
    "sum": (lambda x: ops.ReduceSum(x, (1,)), 0.0),
    "product": (lambda x: ops.ReduceProd(x, (0, 1)), 1.0),
    "any": (lambda x: ops.ReduceAny(x, (1,), keepdims=True), False),
    "all": (lambda x: ops.ReduceAll(x, (1,)), True),
    "product of matrices": (lambda x: ops.MatMul(x, x, transpose_b=True), 0.0),
}


@pytest.mark.parametrize(("make", "value"), OF_NOTHING.values(), ids=OF_NOTHING)
def test_reductions_of_nothing(make: Make, value: float | bool) -> None:
    boolean = isinstance(value, bool)
    graph = _graph(make, kind(B, 0, dtype=DType.BOOL if boolean else DType.FLOAT32))
    wanted = graph.outputs[0].type
    assert apply(RemoveEmpty(), graph) == (1, ["Full y"])
    op = graph.value("y").producer.op  # type: ignore[union-attr]
    assert isinstance(op, ops.Full)
    assert (op.value, type(op.value), graph.outputs[0].type) == (value, type(value), wanted)


def test_the_mean_of_nothing_is_nan() -> None:
    graph = _graph(lambda x: ops.ReduceMean(x, (1,)), kind(2, 0))
    apply(RemoveEmpty(), graph)
    op = graph.value("y").producer.op  # type: ignore[union-attr]
    assert isinstance(op, ops.Full)
    assert math.isnan(op.value)


@pytest.mark.parametrize("biased", [False, True])
def test_a_layer_without_input_features_gives_its_bias(biased: bool) -> None:
    graph = Graph()
    x, weight = graph.add_input("x", kind(B, 0)), graph.add_input("w", kind(5, 0))
    bias = graph.add_input("b", kind(5)) if biased else None
    finish(graph, graph.add(ops.Linear(x, weight, bias), name="y"))
    assert apply(RemoveEmpty(), graph) == (1, ["Expand y" if biased else "Full y"])
    assert graph.outputs[0].type == kind(B, 5)


def test_joined_with_nothing() -> None:
    graph = Graph()
    x, empty = graph.add_input("x", kind(B, 3)), graph.add_input("e", kind(B, 0))
    finish(graph, graph.add(ops.Concat((empty, x, empty), 1), name="y"))
    assert apply(RemoveEmpty(), graph)[0] == 1
    op = graph.value("y").producer.op  # type: ignore[union-attr]
    assert isinstance(op, ops.Concat)
    assert op.values == (x,)


KEPT: dict[str, Make] = {
    "relu": ops.Relu,
    "sum": lambda x: ops.ReduceSum(x, (0,)),
    "product": lambda x: ops.MatMul(x, x, transpose_b=True),
    "concat": lambda x: ops.Concat((x, x), 0),
}


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_kept(make: Make) -> None:
    graph = _graph(make, kind(B, 3))
    before = str(graph)
    assert apply(RemoveEmpty(), graph)[0] == 0
    assert str(graph) == before


def test_extremes_of_nothing_are_kept() -> None:
    graph = _graph(lambda x: ops.ReduceMax(x, (1,)), kind(2, 0))
    assert apply(RemoveEmpty(), graph)[0] == 0
