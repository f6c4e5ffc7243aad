"""What no output depends on."""

from __future__ import annotations

import numpy as np
from cleaning import apply, finish
from toy_ops import Halves, Twice
from values import kind

from fwd_core.ir import Graph, ops
from fwd_core.rewrite import run
from fwd_core.rewrite.cleanup import RemoveDeadCode


def test_whole_branches_go_in_one_walk() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    dead = graph.add(ops.Add(x, graph.constant(np.ones(4, np.float32), name="one")), name="dead")
    graph.add(ops.Relu(graph.add(ops.Neg(dead))))
    finish(graph, graph.add(ops.Abs(x), name="live"))
    assert apply(RemoveDeadCode(), graph) == (4, ["Abs live"])
    assert graph.constants, "the store is cleared at the end of a stage"
    run(graph, [RemoveDeadCode()])
    assert not graph.constants


def test_what_is_read_or_returned_stays() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    unused = graph.add_input("unused", kind(4))
    y = graph.add(ops.Relu(x), name="y")
    finish(graph, graph.add(ops.Neg(y), name="z"), y, unused)
    assert apply(RemoveDeadCode(), graph) == (0, ["Relu y", "Neg z"])
    assert len(graph.inputs) == 2


def test_one_live_output_keeps_a_node() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    _, second = graph.add_all(Halves(x), name="split")
    graph.add_all(Halves(x), name="dead")
    finish(graph, second)
    assert apply(RemoveDeadCode(), graph) == (1, ["Halves split.0"])


def test_inside() -> None:
    body = Graph("body")
    inner = body.add_input("x", kind(4))
    body.add(ops.Neg(inner))
    finish(body, body.add(ops.Relu(inner)))
    graph = Graph()
    finish(graph, graph.add(Twice(graph.add_input("x", kind(4)), body)))
    assert apply(RemoveDeadCode(), graph)[0] == 1
    assert len(body) == 1
