"""Types of operators that hold graphs, and what becomes of the graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from control_graphs import branch, if_, is_positive
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Graph, Value, load, ops, save


def outputs(*types: Value) -> object:
    return lambda _graph, *_inputs: list(types)


def test_results_are_those_of_the_branches() -> None:
    condition, x = value(dtype="bool"), value(B, 3)
    op = if_(condition, lambda g, x: [x, g.add(ops.Exp(x))], lambda _, x: [x, x], x)
    assert op.infer() == (kind(B, 3), kind(B, 3))
    assert [graph.name for graph in op.graphs()] == ["then", "otherwise"]
    assert list(op.operands()) == [condition, x]


def test_sizes_that_are_equal_for_certain_are_one_type() -> None:
    x = value(B, H)
    then = branch("then", lambda g, x: [g.add(ops.Reshape(x, (B * H,)))], x)
    otherwise = branch("otherwise", lambda g, x: [g.add(ops.Reshape(x, (H * B,)))], x)
    assert ops.If(value(dtype="bool"), (x,), then, otherwise).infer() == (kind(B * H),)


def test_conditions_are_one_truth() -> None:
    x = value(3)
    branches = branch("then", lambda _, x: [x], x), branch("otherwise", lambda _, x: [x], x)
    with pytest.raises(GraphError, match="fwd.If: element type not taken"):
        ops.If(value(dtype="int32"), (x,), *branches).infer()
    with pytest.raises(GraphError, match="fwd.If: wrong rank"):
        ops.If(value(1, dtype="bool"), (x,), *branches).infer()


def test_branches_go_together() -> None:
    condition, x, y = value(dtype="bool"), value(3), value(3, dtype="int32")
    same = branch("same", lambda _, x: [x], x)
    other = branch("other", lambda _, y: [y], y)
    with pytest.raises(
        GraphError,
        match=r"inputs of 'other' differ from what is captured\n.*float32\[3\]\n.*int32\[3\]",
    ):
        ops.If(condition, (x,), same, other).infer()
    several = branch("several", lambda _, x: [x, x], x)
    with pytest.raises(GraphError, match=r"other numbers of outputs\n  expected: 1\n  got:      2"):
        ops.If(condition, (x,), same, several).infer()
    longer = branch("longer", lambda g, x: [g.add(ops.Concat((x, x), 0))], x)
    with pytest.raises(GraphError, match=r"other types\n.*float32\[3\]\n.*float32\[6\]"):
        ops.If(condition, (x,), same, longer).infer()
    cast = branch("cast", lambda g, x: [g.add(ops.Cast(x, y.type.dtype))], x)
    with pytest.raises(GraphError, match=r"other types\n.*float32\[3\]\n.*int32\[3\]"):
        ops.If(condition, (x,), same, cast).infer()


def nested() -> Graph:
    """A choice within a choice, with a constant and a dynamic size."""
    graph = Graph("main")
    x = graph.add_input("x", kind(B, 3))

    def inner(graph: Graph, x: Value) -> list[Value]:
        one = graph.constant(np.ones(3, np.float32), name="one")
        added = graph.add(ops.Add(x, one), name="added")
        op = if_(is_positive(graph, x), lambda _, x: [x], lambda g, x: [g.add(ops.Neg(x))], added)
        return list(graph.add_all(op, name="inner"))

    op = if_(is_positive(graph, x), inner, lambda g, x: [g.add(ops.Abs(x), name="abs")], x)
    graph.set_outputs(graph.add_all(op, name="if"), ["y"])
    return graph.verify()


def test_print_and_files(tmp_path: Path) -> None:
    graph = nested()
    printed = str(graph)
    assert (
        "%if.0 = If(%positive, [%x], then=then, otherwise=otherwise) : float32[batch, 3]" in printed
    )
    assert "    graph then(%x0: float32[batch, 3]) {" in printed
    assert "        graph otherwise(%x0: float32[batch, 3]) {" in printed
    save(graph, tmp_path / "graph.fwd")
    assert str(load(tmp_path / "graph.fwd").verify()) == printed


def test_nodes_are_walked_inside_out_of_order_of_depth() -> None:
    names = [node.name for node in nested().walk()]
    assert names.index("if.0") < names.index("added") < names.index("inner.0")
    assert names.index("inner.0") < names.index("neg") < names.index("abs")
    assert names.count("total") == 2


def test_a_wrong_graph_inside_is_found() -> None:
    graph = nested()
    (node,) = [node for node in graph if isinstance(node.op, ops.If)]
    assert isinstance(node.op, ops.If)
    node.op.then.inputs.reverse()
    node.op.then.inputs.append(node.op.then.value("added"))
    with pytest.raises(GraphError, match="inputs of 'then' differ from what is captured"):
        graph.verify()


def test_decomposed_both_are_computed_and_selected() -> None:
    graph = nested()
    while found := [node for node in graph if isinstance(node.op, ops.If)]:
        emit = Emitter.before(found[0])
        graph.replace_node(found[0], found[0].op.decompose(emit) or (), renamed=emit.added)
        graph.verify()
    kinds = [type(node.op).__name__ for node in graph]
    assert kinds.count("Where") == 2
    assert graph.outputs[0].name == "if.0"
    assert graph.find("added") is not None


def test_what_both_branches_give_is_not_selected() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(3))
    op = if_(is_positive(graph, x), lambda _, x: [x], lambda _, x: [x], x)
    (result,) = graph.add_all(op)
    graph.set_outputs([result], ["y"])
    assert result.producer is not None
    graph.replace_node(result.producer, op.decompose(Emitter.before(result.producer)))
    assert graph.verify().outputs == [x]
