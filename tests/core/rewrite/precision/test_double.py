from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from toy_ops import Twice

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.rewrite.precision import PrecisionWarning, narrow_float64, to_half

DOUBLE, SINGLE = DType.FLOAT64, DType.FLOAT32


def _graph(make: Callable[[Graph, Value], Value], dtype: DType = DOUBLE) -> Graph:
    graph = Graph("deep")
    x = graph.add_input("x", TensorType(dtype, (2, 4)))
    graph.set_outputs([make(graph, x)], ["y"])
    return graph.verify()


def _narrowed(graph: Graph) -> Graph:
    with pytest.warns(PrecisionWarning, match="float64 and compute in float32"):
        narrow_float64(graph)
    return graph.verify()


def test_the_inside_is_float32_and_the_edges_keep_their_types() -> None:
    def make(graph: Graph, x: Value) -> Value:
        weight = graph.constant(np.ones((4, 4)), name="weight")
        return graph.add(ops.Exp(graph.add(ops.MatMul(x, weight), name="product")), name="exp")

    graph = _narrowed(_graph(make))
    assert [value.type.dtype for value in (*graph.inputs, *graph.outputs)] == [DOUBLE] * 2
    for name in ("weight", "product", "exp"):
        assert graph.value(name).type.dtype is SINGLE
    assert sum(isinstance(node.op, ops.Cast) for node in graph) == 2


def test_a_second_time_changes_nothing_and_does_not_warn() -> None:
    graph = _narrowed(_graph(lambda g, x: g.add(ops.Exp(x))))
    before = str(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert narrow_float64(graph) == 0
    assert str(graph) == before


def test_other_graphs_are_untouched() -> None:
    graph = _graph(lambda g, x: g.add(ops.Exp(x)), SINGLE)
    before = str(graph)
    assert narrow_float64(graph) == 0
    assert str(graph) == before


def test_made_tensors_and_casts_are_narrowed() -> None:
    def make(graph: Graph, x: Value) -> Value:
        steps = graph.add(ops.Arange(4, 0.5, 0.25, DOUBLE), name="steps")
        full = graph.add(ops.Full((2, 4), 1e300, DOUBLE), name="full")
        single = graph.add(ops.Cast(x, SINGLE), name="single")
        back = graph.add(ops.Cast(single, DOUBLE), name="back")
        whole = graph.add(ops.Cast(graph.add(ops.Cast(back, DType.INT64)), DOUBLE), name="whole")
        total = graph.add(ops.Add(graph.add(ops.Add(back, steps)), full))
        return graph.add(ops.Add(total, whole), name="total")

    graph = _narrowed(_graph(make))
    for name in ("steps", "full", "whole", "total"):
        assert graph.value(name).type.dtype is SINGLE, name
    full = graph.value("full").producer
    assert full is not None
    assert isinstance(full.op, ops.Full)
    assert full.op.value == np.finfo(np.float32).max
    inside = [
        node for node in graph if isinstance(node.op, ops.Cast) and node.name != "total/float64"
    ]
    assert all(node.output.type.dtype is not DOUBLE for node in inside)


def test_a_cast_to_float32_of_what_is_computed_is_no_longer_there() -> None:
    def make(graph: Graph, x: Value) -> Value:
        return graph.add(ops.Cast(graph.add(ops.Exp(x), name="exp"), SINGLE), name="cast")

    graph = _narrowed(_graph(make))
    assert graph.outputs == [graph.value("exp")]


def test_graphs_inside_are_narrowed_between_their_edges() -> None:
    body = Graph("body")
    inner = body.add_input("x", TensorType(DOUBLE, (2, 4)))
    body.set_outputs([body.add(ops.Tanh(inner), name="tanh")], ["y"])

    def make(graph: Graph, x: Value) -> Value:
        return graph.add(ops.Neg(graph.add(Twice(graph.add(ops.Exp(x)), body))), name="neg")

    graph = _narrowed(_graph(make))
    body.verify()
    assert body.value("tanh").type.dtype is SINGLE
    assert body.outputs[0].type.dtype is DOUBLE
    assert graph.value("neg").type.dtype is SINGLE
    before = str(graph)
    assert narrow_float64(graph) == 0
    assert str(graph) == before


def test_casts_that_convert_nothing_do_not_hold_what_was_replaced() -> None:
    def make(graph: Graph, x: Value) -> Value:
        whole = graph.add(ops.Cast(graph.add(ops.Cast(x, DType.INT64)), DOUBLE))
        again = graph.add(ops.Cast(whole, DOUBLE))
        return graph.add(ops.Exp(again), name="exp")

    graph = _narrowed(_graph(make))
    assert graph.value("exp").type.dtype is SINGLE


def test_a_constant_that_is_an_output_stays() -> None:
    graph = _graph(lambda g, _x: g.constant(np.ones(2), name="ones"))
    assert narrow_float64(graph) == 0
    assert graph.outputs[0].type.dtype is DOUBLE


def test_an_input_that_is_an_output_stays() -> None:
    graph = _graph(lambda _g, x: x)
    assert narrow_float64(graph) == 0
    assert graph.outputs == graph.inputs


def test_a_comparison_of_doubles_gives_the_same_bools() -> None:
    graph = _narrowed(_graph(lambda g, x: g.add(ops.Less(x, x), name="less")))
    assert graph.outputs[0].type.dtype is DType.BOOL


def test_half_narrows_first() -> None:
    graph = _graph(lambda g, x: g.add(ops.MatMul(x, x, transpose_b=True), name="product"))
    with pytest.warns(PrecisionWarning):
        to_half(graph)
    graph.verify()
    assert graph.value("product").type.dtype is DType.FLOAT16
    assert graph.outputs[0].type.dtype is DOUBLE
