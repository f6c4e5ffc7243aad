"""Equal things are computed once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cleaning import apply, finish
from toy_ops import Halves, Tagged, Twice
from values import B, kind

from fwd_core.ir import DType, Graph, Operator, Tensor, Value, ops
from fwd_core.rewrite.cleanup import MergeDuplicates

Make = Callable[[Value], Operator]


def _pair(first: Make, second: Make) -> Graph:
    graph = Graph()
    x = graph.add_input("x", kind(B))
    a, b = graph.add(first(x), name="a"), graph.add(second(x), name="b")
    return finish(graph, graph.add(ops.Add(a, b), name="sum"))


def test_equal_nodes_merge_into_the_first() -> None:
    graph = _pair(ops.Relu, ops.Relu)
    assert apply(MergeDuplicates(), graph) == (1, ["Relu a", "Add sum"])
    assert list(graph.value("a").users.values()) == [2]


def test_readers_of_merged_nodes_merge_in_turn() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    ends = []
    for branch in "ab":
        one = graph.constant(np.ones(4, np.float32), name=f"{branch}.one")
        ends.append(graph.add(ops.Relu(graph.add(ops.Add(x, one), name=f"{branch}.sum"))))
    finish(graph, *ends)
    changed, left = apply(MergeDuplicates(), graph)
    # The constants are two parameters of the model that happen to be equal: both stay.
    assert (changed, left) == (2, ["Constant a.one", "Add a.sum", "Relu relu", "Constant b.one"])
    assert graph.outputs == [graph.value("relu")] * 2
    assert graph.output_names == ["y0", "y1"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ops.Relu, ops.Abs),
        (lambda x: ops.LeakyRelu(x, 0.1), lambda x: ops.LeakyRelu(x, 0.2)),
        (lambda x: ops.Clamp(x, 0.0), lambda x: ops.Clamp(x, -0.0)),
        (lambda x: ops.Clamp(x, 0), lambda x: ops.Clamp(x, 0.0)),
        (lambda x: Tagged(x, flag=True), lambda x: Tagged(x, flag=False)),
        (lambda x: Tagged(x, sizes=(1,)), lambda x: Tagged(x, sizes=(B,))),
        (lambda x: Tagged(x, extra=x), lambda x: Tagged(x)),
        (lambda x: Tagged(x, dtype=DType.BOOL), lambda x: Tagged(x, dtype=DType.INT8)),
    ],
)
def test_different_nodes_stay(first: Make, second: Make) -> None:
    assert apply(MergeDuplicates(), _pair(first, second))[0] == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda x: ops.Clamp(x, float("nan")),
        lambda x: Tagged(x, extra=x, size=B + 1, sizes=(2, B), nested=((1,),)),
        lambda x: ops.Reshape(x, (1, B)),
    ],
)
def test_attributes_compare_by_contents(make: Make) -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B))
    finish(graph, graph.add(make(x), name="a"), graph.add(make(x), name="b"))
    assert apply(MergeDuplicates(), graph)[0] == 1


def test_readers_of_constants_merge_by_contents_and_dtype() -> None:
    graph = Graph()
    words = np.zeros(2, np.uint16)
    constants = [
        graph.constant(np.zeros(2, np.float16)),
        graph.constant(Tensor(words, DType.BFLOAT16)),
        graph.constant(np.zeros(2, np.float16)),
        graph.constant(np.zeros((2, 1), np.float16)),
    ]
    finish(graph, *(graph.add(ops.Relu(constant)) for constant in constants))
    changed, left = apply(MergeDuplicates(), graph)
    assert (changed, len(left)) == (1, 7)


def test_order_of_operands_matters() -> None:
    graph = Graph()
    x, y = graph.add_input("x", kind(4)), graph.add_input("y", kind(4))
    finish(graph, graph.add(ops.Sub(x, y)), graph.add(ops.Sub(y, x)))
    assert apply(MergeDuplicates(), graph)[0] == 0


def test_several_outputs_merge_together() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    a, b = graph.add_all(Halves(x)), graph.add_all(Halves(x))
    finish(graph, *a, *b)
    assert apply(MergeDuplicates(), graph)[0] == 1
    assert graph.outputs == [*a, *a]


def test_inside_but_not_across() -> None:
    body = Graph("body")
    inner = body.add_input("x", kind(4))
    finish(body, body.add(ops.Add(body.add(ops.Relu(inner)), body.add(ops.Relu(inner)))))
    graph = Graph()
    x = graph.add_input("x", kind(4))
    finish(graph, graph.add(Twice(x, body)), graph.add(ops.Relu(x)))
    assert apply(MergeDuplicates(), graph)[0] == 1
    assert (len(body), len(graph)) == (2, 2)
