"""How rewrites run."""

from __future__ import annotations

import pytest
from toy_ops import Twice
from values import kind

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Graph, Node, Value, ops
from fwd_core.rewrite import NodeRewrite, Refusal, Rewrite, run


class ReluToClamp(NodeRewrite):
    """A relu is a clamp at zero."""

    name = "relu-to-clamp"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        if not isinstance(node.op, ops.Relu):
            return None
        return emit(ops.Clamp(node.op.x, minimum=0))


class ClampToRelu(NodeRewrite):
    """Undoes it."""

    name = "clamp-to-relu"

    def rewrite(self, node: Node, emit: Emitter) -> Value | Refusal | None:
        if not isinstance(node.op, ops.Clamp):
            return None
        if node.op.minimum != 0 or node.op.maximum is not None:
            return Refusal("another range")
        return emit(ops.Relu(node.op.x))


def _graph() -> Graph:
    graph = Graph()
    x = graph.add_input("x", kind(3))
    y = graph.add(ops.Relu(graph.add(ops.Neg(x), name="neg")), name="relu")
    graph.set_outputs([graph.add(ops.Clamp(y, minimum=1), name="clamp")], ["y"])
    return graph


def test_counts_and_names() -> None:
    graph = _graph()
    assert run(graph, [ReluToClamp()], verify=True) == {"relu-to-clamp": 1}
    assert [node.name for node in graph] == ["neg", "relu", "clamp"]
    assert [node.op.kind() for node in graph] == ["fwd.Neg", "fwd.Clamp", "fwd.Clamp"]
    assert run(graph, [ReluToClamp()]) == {"relu-to-clamp": 0}


def test_a_refusal_leaves_the_node() -> None:
    graph = _graph()
    before = str(graph)
    assert run(graph, [ClampToRelu()], verify=True) == {"clamp-to-relu": 0}
    assert str(graph) == before


def test_rewrites_that_undo_one_another() -> None:
    with pytest.raises(
        GraphError,
        match="rewrites did not come to an end after 20 rounds\n"
        "  got:      relu-to-clamp, clamp-to-relu\n  Hint: this is a bug",
    ):
        run(_graph(), [ReluToClamp(), ClampToRelu()])


def test_a_damaged_graph_is_noticed() -> None:
    class Damage:
        name = "damage"

        def apply(self, graph: Graph) -> int:
            graph.value("x").users.clear()
            return 1

    with pytest.raises(GraphError, match="the users of %x are counted wrong"):
        run(_graph(), [Damage()], verify=True)


def test_values_that_were_there_keep_their_names() -> None:
    class DropNeg(NodeRewrite):
        name = "drop-neg"

        def rewrite(self, node: Node, emit: Emitter) -> Value | None:
            return node.op.x if isinstance(node.op, ops.Clamp) else None

    graph = _graph()
    assert run(graph, [DropNeg()], verify=True) == {"drop-neg": 1}
    assert [value.name for value in graph.outputs] == ["relu"]


def test_graphs_inside_are_rewritten_too() -> None:
    body = _graph()
    graph = Graph()
    y = graph.add(Twice(graph.add_input("x", kind(3)), body))
    graph.set_outputs([y], ["y"])
    assert run(graph, [ReluToClamp()], verify=True) == {"relu-to-clamp": 1}
    assert "Relu" not in str(body)


def test_the_base_does_nothing() -> None:
    graph = _graph()
    with pytest.raises(NotImplementedError):
        NodeRewrite().apply(graph)


def test_rewrites_are_known_by_their_members() -> None:
    assert isinstance(ReluToClamp(), Rewrite)
    assert not isinstance(object(), Rewrite)
