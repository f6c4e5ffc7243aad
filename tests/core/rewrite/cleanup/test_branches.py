"""Branches that are simplified, and what is around them."""

from __future__ import annotations

import numpy as np
from cleaning import apply, finish
from control_graphs import if_, is_positive
from values import B, kind

from fwd_core.ir import Graph, Value, ops
from fwd_core.rewrite import run
from fwd_core.rewrite.cleanup import SimplifyBranches, all_rewrites


def exp(graph: Graph, x: Value, *_others: Value) -> list[Value]:
    return [graph.add(ops.Exp(x), name="exp")]


def neg(graph: Graph, x: Value, *_others: Value) -> list[Value]:
    return [graph.add(ops.Neg(x), name="neg")]


def only_if(graph: Graph) -> ops.If:
    (op,) = [node.op for node in graph if isinstance(node.op, ops.If)]
    return op


def test_a_condition_that_is_known_takes_its_branch() -> None:
    for known, expected in ((True, "Exp if.0"), (False, "Neg if.0")):
        graph = Graph()
        x = graph.add_input("x", kind(B, 3))
        condition = graph.constant(np.array(known), name="known")
        finish(graph, *graph.add_all(if_(condition, exp, neg, x), name="if"))
        assert apply(SimplifyBranches(), graph) == (1, ["Constant known", expected])


def test_a_condition_that_is_not_known_stays() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    finish(graph, *graph.add_all(if_(is_positive(graph, x), exp, neg, x), name="if"))
    before = str(graph)
    assert apply(SimplifyBranches(), graph)[0] == 0
    assert str(graph) == before


def test_a_known_condition_inside_a_branch() -> None:
    def inner(graph: Graph, x: Value) -> list[Value]:
        known = graph.constant(np.array(False), name="known")
        return list(graph.add_all(if_(known, exp, neg, x), name="inner"))

    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    finish(graph, *graph.add_all(if_(is_positive(graph, x), inner, neg, x), name="if"))
    assert apply(SimplifyBranches(), graph)[0] == 1
    assert [type(node.op).__name__ for node in only_if(graph).then] == ["Constant", "Neg"]


def test_outputs_that_nothing_reads_go_with_what_they_need() -> None:
    def several(graph: Graph, x: Value, y: Value) -> list[Value]:
        return [*exp(graph, y), *neg(graph, x), *exp(graph, x)]

    graph = Graph()
    x, y = graph.add_input("x", kind(B, 3)), graph.add_input("y", kind(B, 3))
    results = graph.add_all(if_(is_positive(graph, x), several, several, x, y), name="if")
    finish(graph, results[1])
    # What only the output that went has read is dead after one round, and enters no more.
    run(graph, all_rewrites(), verify=True)
    op = only_if(graph)
    assert op.captured == (x,)
    assert [len(one.outputs) for one in op.graphs()] == [1, 1]
    assert graph.outputs[0].name == "if.1"


def test_what_both_branches_pass_on_goes_past_them() -> None:
    def passes(graph: Graph, x: Value, y: Value) -> list[Value]:
        return [y, *exp(graph, x)]

    graph = Graph()
    x, y = graph.add_input("x", kind(B, 3)), graph.add_input("y", kind(B, 3))
    results = graph.add_all(if_(is_positive(graph, x), passes, passes, x, y), name="if")
    finish(graph, *results)
    assert apply(SimplifyBranches(), graph)[0] == 2
    assert graph.outputs[0] is y
    assert only_if(graph).captured == (x,)


def test_an_if_that_only_passes_on_is_dead_code() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    finish(graph, *graph.add_all(if_(is_positive(graph, x), *[lambda _, x: [x]] * 2, x)))
    run(graph, all_rewrites(), verify=True)
    assert len(graph) == 0


def test_constants_move_into_branches_and_are_folded_there() -> None:
    def scaled(graph: Graph, x: Value, w: Value) -> list[Value]:
        return [graph.add(ops.MatMul(x, graph.add(ops.Transpose(w, (1, 0)))), name="product")]

    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    weight = graph.constant(np.arange(9, dtype=np.float32).reshape(3, 3), name="weight")
    finish(graph, *graph.add_all(if_(is_positive(graph, x), scaled, neg, x, weight), name="if"))
    run(graph, all_rewrites(), verify=True)
    op = only_if(graph)
    assert op.captured == (x,)
    assert len(op.then.constants) == 1
    assert len(graph.constants) == 1, "the zero of the condition"


def test_one_value_enters_once() -> None:
    def product(graph: Graph, a: Value, b: Value) -> list[Value]:
        return [graph.add(ops.Mul(a, b), name="product")]

    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    finish(graph, *graph.add_all(if_(is_positive(graph, x), product, neg, x, x), name="if"))
    assert apply(SimplifyBranches(), graph)[0] == 1
    assert only_if(graph).captured == (x,)


def test_clean_up_works_inside() -> None:
    def untidy(graph: Graph, x: Value) -> list[Value]:
        flat = graph.add(ops.Reshape(x, (B * 3,)))
        back = graph.add(ops.Reshape(flat, (B, 3)))
        graph.add(ops.Sin(x), name="dead")
        doubled = graph.add(ops.Add(graph.add(ops.Exp(back)), graph.add(ops.Exp(back))))
        return [doubled]

    graph = Graph()
    x = graph.add_input("x", kind(B, 3))
    finish(graph, *graph.add_all(if_(is_positive(graph, x), untidy, neg, x), name="if"))
    run(graph, all_rewrites(), verify=True)
    assert [type(node.op).__name__ for node in only_if(graph).then] == ["Exp", "Add"]
