"""Operators that return their operand unchanged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cleaning import apply, finish
from toy_ops import Twice
from values import B, kind

from fwd_core.ir import DType, Graph, Operator, TensorType, Value, ops
from fwd_core.rewrite.cleanup import RemoveIdentities

Make = Callable[[Value], Operator]
IDENTITIES: dict[str, Make] = {
    "cast": lambda x: ops.Cast(x, DType.FLOAT32),
    "reshape": lambda x: ops.Reshape(x, (B, 3)),
    "expand": lambda x: ops.Expand(x, (B, 3)),
    "transpose": lambda x: ops.Transpose(x, (0, 1)),
    "unsqueeze": lambda x: ops.Unsqueeze(x, ()),
    "squeeze": lambda x: ops.Squeeze(x, ()),
    "slice": lambda x: ops.Slice(x, 0, 0, B),
    "pad": lambda x: ops.Pad(x, (0, 0), (0, 0)),
    "concat": lambda x: ops.Concat((x,), 1),
}
OTHERS: dict[str, Make] = {
    "cast": lambda x: ops.Cast(x, DType.FLOAT16),
    "reshape": lambda x: ops.Reshape(x, (3, B)),
    "expand": lambda x: ops.Expand(x, (1, B, 3)),
    "transpose": lambda x: ops.Transpose(x, (1, 0)),
    "unsqueeze": lambda x: ops.Unsqueeze(x, (0,)),
    "slice": lambda x: ops.Slice(x, 1, 0, 2),
    "slice of the same length, backwards": lambda x: ops.Slice(x, 1, 2, 3, -1),
    "pad": lambda x: ops.Pad(x, (0, 1), (0, 0)),
    "pad that shifts": lambda x: ops.Pad(x, (0, 1), (0, -1)),
    "pad by a size": lambda x: ops.Pad(x, (B - 1, 0), (0, 0)),
    "concat": lambda x: ops.Concat((x, x), 1),
    "relu": ops.Relu,
}


def _graph(make: Make) -> Graph:
    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    before = graph.add(ops.Neg(x), name="before")
    middle = graph.add(make(before), name="middle")
    return finish(graph, graph.add(ops.Abs(middle), name="after"))


@pytest.mark.parametrize("make", IDENTITIES.values(), ids=IDENTITIES)
def test_removed(make: Make) -> None:
    graph = _graph(make)
    assert apply(RemoveIdentities(), graph) == (1, ["Neg before", "Abs after"])
    assert apply(RemoveIdentities(), graph)[0] == 0


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_kept(make: Make) -> None:
    graph = _graph(make)
    before = str(graph)
    assert apply(RemoveIdentities(), graph)[0] == 0
    assert str(graph) == before


def _choice(graph: Graph, a: Value, b: Value) -> Graph:
    chosen = graph.add_input("chosen", TensorType(DType.BOOL, (B, 3)))
    middle = graph.add(ops.Where(chosen, a, b), name="middle")
    return finish(graph, graph.add(ops.Abs(middle), name="after"))


def test_a_choice_between_equals_is_none() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    _choice(graph, x, x)
    assert apply(RemoveIdentities(), graph) == (1, ["Abs after"])
    graph = Graph()
    six, also = (graph.constant(np.array(number, np.float32)) for number in (6.0, 6.0))
    _choice(graph, six, also)
    assert apply(RemoveIdentities(), graph)[0] == 1
    (spread,) = (node.op for node in graph if isinstance(node.op, ops.Expand))
    assert spread.shape == (B, 3)
    assert spread.x is six


@pytest.mark.parametrize("number", [7.0, -6.0, np.nan])
def test_a_choice_between_others_stays(number: float) -> None:
    graph = Graph()
    six, other = (graph.constant(np.array(each, np.float32)) for each in (6.0, number))
    _choice(graph, six, other)
    assert apply(RemoveIdentities(), graph)[0] == 0
    assert any(isinstance(node.op, ops.Where) for node in graph)


def test_chains_go_in_one_walk() -> None:
    graph = Graph()
    value = graph.add_input("x", kind(B, 3))
    for make in IDENTITIES.values():
        value = graph.add(make(value))
    finish(graph, value)
    assert apply(RemoveIdentities(), graph) == (len(IDENTITIES), [])
    assert graph.outputs == graph.inputs


def test_outputs_keep_their_names_and_inputs_theirs() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    same = graph.add(ops.Cast(x, DType.FLOAT32), name="same")
    graph.set_outputs([same, same], ["first", "second"])
    assert apply(RemoveIdentities(), graph) == (1, [])
    assert (graph.output_names, graph.outputs) == (["first", "second"], [x, x])


def test_inside() -> None:
    body = _graph(IDENTITIES["cast"])
    graph = Graph()
    finish(graph, graph.add(Twice(graph.add_input("x", kind(B, 3)), body)))
    assert apply(RemoveIdentities(), graph)[0] == 1
    assert len(body) == 2
