"""Movements of elements that follow one another."""

from __future__ import annotations

import itertools

import pytest
from cleaning import apply, finish
from values import B, H, kind

from fwd_core.ir import Graph, Operator, ops, symbol
from fwd_core.rewrite.cleanup import MergeReshapes, MergeTransposes


def _producer(graph: Graph, name: str) -> Operator:
    node = graph.value(name).producer
    assert node is not None
    return node.op


@pytest.mark.parametrize("inner", ["reshape", "squeeze", "unsqueeze"])
def test_reshapes_merge(inner: str) -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 1, 6))
    first: dict[str, Operator] = {
        "reshape": ops.Reshape(x, (B, 2, 3)),
        "squeeze": ops.Squeeze(x, (1,)),
        "unsqueeze": ops.Unsqueeze(x, (0,)),
    }
    middle = graph.add(first[inner], name="inner")
    finish(graph, graph.add(ops.Reshape(middle, (B, 3, 2)), name="outer"))
    changed, left = apply(MergeReshapes(), graph)
    assert changed == 1
    assert left[1:] == ["Reshape outer"], "the result keeps its name"
    assert _producer(graph, "outer").operands().__next__() is x
    assert not graph.value("inner").users


def test_reshapes_of_something_else_stay() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 6))
    a = graph.add(ops.Reshape(x, (B, 2, 3)), name="a")
    b = graph.add(ops.Neg(a), name="b")
    c = graph.add(ops.Reshape(b, (B, 6)), name="c")
    d = graph.add(ops.Unsqueeze(c, (0,)), name="d")
    finish(graph, d, graph.add(ops.Reshape(x, (6, B)), name="e"))
    assert apply(MergeReshapes(), graph)[0] == 0


def test_the_first_step_stays_for_its_other_readers() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(6))
    a = graph.add(ops.Reshape(x, (2, 3)), name="a")
    finish(graph, graph.add(ops.Reshape(a, (3, 2)), name="b"), a)
    assert apply(MergeReshapes(), graph) == (1, ["Reshape a", "Reshape b"])


def test_counts_beyond_proof_are_left_alone() -> None:
    # Each step is proved by trying one symbol's values; both together would be 16 million.
    a, b = symbol("a", 1, 9, 4000), symbol("b", 1, 9, 4000)
    graph = Graph()
    x = graph.add_input("x", kind(a // 2 + (a + 1) // 2 + b))
    first = graph.add(ops.Reshape(x, (a + b,)), name="first")
    finish(graph, graph.add(ops.Reshape(first, (a + b // 2 + (b + 1) // 2,)), name="second"))
    assert apply(MergeReshapes(), graph)[0] == 0


def test_transposes_merge_into_the_composition() -> None:
    shape = (B, H, 5)
    for first, second in itertools.product(itertools.permutations(range(3)), repeat=2):
        graph = Graph()
        x = graph.add_input("x", kind(*shape))
        inner = graph.add(ops.Transpose(x, first), name="inner")
        finish(graph, graph.add(ops.Transpose(inner, second), name="outer"))
        wanted = graph.outputs[0].type
        assert apply(MergeTransposes(), graph) == (1, ["Transpose inner", "Transpose outer"])
        op = _producer(graph, "outer")
        assert isinstance(op, ops.Transpose)
        assert op.x is x
        assert kind(*(shape[axis] for axis in op.order)) == wanted


def test_other_transposes_stay() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(2, 3))
    a = graph.add(ops.Neg(graph.add(ops.Transpose(x, (1, 0)))))
    finish(graph, graph.add(ops.Transpose(a, (1, 0))), graph.add(ops.Reshape(x, (3, 2))))
    assert apply(MergeTransposes(), graph)[0] == 0
