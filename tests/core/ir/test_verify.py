"""Each rule of the IR, broken once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from toy_ops import Twice

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Frame, Graph, Location, Tensor, TensorType, ops, symbol

KIND = TensorType(DType.FLOAT32, (4,))


def _graph() -> Graph:
    graph = Graph("demo")
    x = graph.add_input("x", KIND)
    one = graph.constant(np.ones(4, np.float32), name="one")
    y = graph.add(ops.Add(x, one), name="y", location=Location("m", user=Frame("model.py", 3)))
    graph.set_outputs([y], ["y"])
    return graph


def _order(graph: Graph) -> None:
    y, one = graph.value("y"), graph.value("one")
    assert one.producer is not None
    late = graph.add(ops.Neg(one), name="late")
    assert y.producer is not None
    graph.change_operator(y.producer, ops.Add(late, one))


def _circle(graph: Graph) -> None:
    y = graph.value("y")
    graph.replace_uses(y, graph.add(ops.Neg(y), name="neg"))


def _type(graph: Graph) -> None:
    graph.value("y").type = TensorType(DType.FLOAT16, (4,))


def _infer(graph: Graph) -> None:
    graph.value("x").type = TensorType(DType.INT32, (4,))


def _users(graph: Graph) -> None:
    graph.value("x").users.clear()


def _name(graph: Graph) -> None:
    graph.value("x").name = "z"


def _owner(graph: Graph) -> None:
    graph.value("x").graph = Graph("other")


def _producer(graph: Graph) -> None:
    graph.value("y").producer = graph.value("one").producer


def _missing_constant(graph: Graph) -> None:
    graph.constants.clear()


def _other_constant(graph: Graph) -> None:
    (digest,) = graph.constants
    graph.constants[digest] = Tensor(np.ones(4, np.float64))


def _ranges(graph: Graph) -> None:
    graph.add_input("a", TensorType(DType.BOOL, (symbol("n", 1, 1, 2),)))
    graph.add_input("b", TensorType(DType.BOOL, (symbol("n", 1, 1, 3),)))


def _foreign_output(graph: Graph) -> None:
    graph.outputs = [Graph("other").add_input("z", KIND)]


def _output_names(graph: Graph) -> None:
    graph.output_names.append("more")


def _inside(graph: Graph) -> None:
    body = Graph("body")
    inside = body.add_input("x", KIND)
    body.set_outputs([body.add(ops.Relu(inside), name="r")], ["y"])
    graph.add(Twice(graph.value("x"), body))
    inside.users.clear()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_order, "fwd.Add y reads %late before it is computed"),
        (_circle, "fwd.Neg y reads %y before it is computed"),
        (_type, r"fwd.Add y has outputs \(float16\[4\],\), its operator says \(float32\[4\],\)"),
        (_infer, r"operands need one element type[\s\S]*at fwd.Add y m \(model.py:3\)"),
        (_users, "the users of %x are counted wrong"),
        (_name, "%z is not known by its name in graph 'demo'"),
        (_owner, "%x is not known by its name in graph 'demo'"),
        (_producer, "%y is an output of fwd.Add y, but says fwd.Constant one"),
        (_missing_constant, "fwd.Constant one names a constant that the graph does not hold"),
        (_other_constant, r"fwd.Constant one says float32\[4\], but its constant is float64\[4\]"),
        (_ranges, "dim 'n' has two ranges: Symbol"),
        (_foreign_output, "output %z is not computed in graph 'demo'"),
        (_output_names, "1 outputs but 2 names"),
        (_inside, "the users of %x are counted wrong"),
    ],
    ids=lambda item: item.__name__.strip("_") if callable(item) else "",
)
def test_broken_rules(damage: Callable[[Graph], None], text: str) -> None:
    graph = _graph().verify()
    damage(graph)
    with pytest.raises(GraphError, match=text):
        graph.verify()


def test_an_empty_graph_is_well_formed() -> None:
    assert str(Graph("empty").verify()) == "graph empty() {\n  return \n}"
