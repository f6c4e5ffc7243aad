"""Adding nodes in the name of another."""

from __future__ import annotations

import numpy as np
import pytest

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Emitter, Graph, Location, TensorType, ops

KIND = TensorType(DType.FLOAT32, (2,))
PLACE = Location("block.3", "aten::relu")


def test_nodes_go_before_and_inherit_name_and_place() -> None:
    graph = Graph()
    x = graph.add_input("x", KIND)
    y = graph.add(ops.Relu(x), name="block.3.relu", location=PLACE)
    graph.set_outputs([y], ["y"])
    assert y.producer is not None
    emit = Emitter.before(y.producer)
    one = emit.constant(np.ones(2, np.float32), "one")
    emit(ops.Add(x, one), "shifted")
    emit(ops.Neg(x))
    assert [node.name for node in graph] == [
        "block.3.relu/one",
        "block.3.relu/shifted",
        "block.3.relu/neg",
        "block.3.relu",
    ]
    assert [node.name for node in emit.added] == [node.name for node in graph][:3]
    assert {node.location for node in graph} == {PLACE}
    graph.verify()


def test_without_a_node_it_appends() -> None:
    graph = Graph()
    x = graph.add_input("x", KIND)
    emit = Emitter(graph, base="here")
    emit(ops.Relu(x))
    assert emit.all(ops.Relu(x))[0].name == "here/relu_1"
    assert [node.location for node in graph] == [Location(), Location()]


def test_a_removed_node_has_no_place() -> None:
    graph = Graph()
    y = graph.add(ops.Relu(graph.add_input("x", KIND)))
    node = y.producer
    assert node is not None
    graph.remove(node)
    with pytest.raises(GraphError, match=r"fwd.Relu relu has been removed from its graph"):
        Emitter.before(node)
