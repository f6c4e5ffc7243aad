"""Walking graphs through lowerings."""

from __future__ import annotations

from typing import Any

import pytest
from toy_backend import ToyLowering, add, relu
from toy_ops import Halves, Twice
from values import kind

from fwd_core import lowering
from fwd_core.backends.lowering import LoweringContext, legalize, lower
from fwd_core.errors import BuildError, GraphError
from fwd_core.events import Event, Events
from fwd_core.ir import Frame, Graph, Location, ops

PLACE = Location("block.0", "aten::x", Frame("model.py", 9))


def _run(graph: Graph, lowerings: dict[str, Any]) -> LoweringContext[Any]:
    context: LoweringContext[Any] = LoweringContext("toy", graph)
    for value in graph.inputs:
        context[value] = value.name
    legalize(context, lowerings)
    graph.verify()
    lower(context, lowerings, Events())
    return context


def _slice(_ctx: Any, op: ops.Slice) -> str:
    return f"slice {op.start}"


def test_each_value_gets_a_tensor() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    first, second = graph.add_all(Halves(x), name="h")
    graph.set_outputs([first, second], ["a", "b"])
    context = _run(graph, {"toy:toy.Halves": lambda _ctx, _op: ("left", "right")})
    assert (context[x], context[first], context[second]) == ("x", "left", "right")
    assert context.node is None


def test_operators_without_a_lowering_are_decomposed() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4))
    halves = graph.add_all(Halves(x), name="h", location=PLACE)
    graph.set_outputs(halves, ["a", "b"])
    context = _run(graph, {"toy:fwd.Slice": _slice})
    assert [node.name for node in graph] == ["h.0", "h.1"]
    assert [node.location for node in graph] == [PLACE, PLACE]
    assert [context[value] for value in graph.outputs] == ["slice 0", "slice 2"]


def test_a_lowering_may_refuse_and_leave_it_to_the_decomposition() -> None:
    @lowering("toy", Halves, unless=lambda _ctx, _op: "not today")
    def refuses(_ctx: Any, _op: Any) -> None:
        raise AssertionError

    graph = Graph()
    graph.set_outputs(graph.add_all(Halves(graph.add_input("x", kind(4)))), ["a", "b"])
    _run(graph, {"toy:toy.Halves": refuses, "toy:fwd.Slice": _slice})
    assert {node.op.kind() for node in graph} == {"fwd.Slice"}


def test_all_that_cannot_be_lowered_is_listed_at_once() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(4, dtype="int32"))
    y = graph.add(ops.Sign(x), location=PLACE)
    graph.add(ops.Sign(y), location=PLACE)
    graph.add(ops.Add(y, y))
    context: LoweringContext[Any] = LoweringContext("toy", graph)
    with pytest.raises(BuildError, match="cannot be lowered to toy") as caught:
        legalize(context, {"toy:fwd.Add": add})
    text = str(caught.value)
    assert "fwd.Sign" in text
    assert "no lowering" in text
    assert "model.py:9" in text
    assert "adds floats only" in text
    assert "Hint: " in text


def test_graphs_inside_are_legalized() -> None:
    body = Graph("body")
    inner = body.add_input("x", kind(4))
    halves = body.add_all(Halves(inner))
    body.set_outputs([body.add(ops.Concat(halves, 0))], ["y"])
    graph = Graph()
    graph.add(Twice(graph.add_input("x", kind(4)), body))
    context: LoweringContext[Any] = LoweringContext("toy", graph)
    known = dict.fromkeys(("toy:fwd.Slice", "toy:fwd.Concat", "toy:toy.Twice"), _slice)
    legalize(context, known)
    assert "Halves" not in str(graph.verify())


def _graph() -> Graph:
    graph = Graph()
    y = graph.add(ops.Relu(graph.add_input("x", kind(4))), name="block.0.relu", location=PLACE)
    graph.set_outputs([y], ["y"])
    return graph


def test_a_library_that_refuses() -> None:
    def fails(_ctx: Any, _op: Any) -> None:
        raise RuntimeError("layer 7: unsupported")

    with pytest.raises(
        BuildError,
        match=r"toy refused fwd.Relu\n  at block.0.relu block.0 aten::x \(model.py:9\)\n"
        r"  layer 7: unsupported",
    ) as caught:
        _run(_graph(), {"toy:fwd.Relu": fails})
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_named_errors_get_the_place() -> None:
    def fails(_ctx: Any, _op: Any) -> None:
        raise GraphError("no scale")

    with pytest.raises(GraphError, match="no scale\n  at block.0.relu block.0 aten::x"):
        _run(_graph(), {"toy:fwd.Relu": fails})


def test_a_lowering_with_the_wrong_number_of_results() -> None:
    with pytest.raises(
        BuildError,
        match="the lowering of fwd.Relu to toy is wrong\n  at .*\n  expected: 1 tensors\n",
    ):
        _run(_graph(), {"toy:fwd.Relu": lambda _ctx, _op: (1, 2)})


def test_errors_of_lowerings_name_the_node() -> None:
    context: LoweringContext[Any] = LoweringContext("toy", _graph())
    assert str(context.error("it failed", got=3)) == "it failed\n  got:      3"
    (context.node,) = context.graph
    assert str(context.error("it failed")) == (
        "it failed\n  at block.0.relu block.0 aten::x (model.py:9)"
    )


def test_progress_is_told() -> None:
    heard: list[Event] = []
    graph = _graph()
    context = ToyLowering(graph)
    context[graph.value("x")] = context.slot()
    lower(context, {"toy:fwd.Relu": relu}, Events(heard.append))
    assert heard == [
        Event("lower", "start", 0, 1),
        Event("lower", "step", 1, 1, "block.0.relu"),
        Event("lower", "end", 1, 1),
    ]
