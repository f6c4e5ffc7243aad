"""Graphs as text."""

from __future__ import annotations

import numpy as np
from toy_ops import Halves, Tagged, Twice

from fwd_core.ir import DType, Frame, Graph, Location, Tensor, TensorType, ops, symbol, text

B = symbol("batch", 1, 2, 4)


def _graph(prefix: str) -> Graph:
    graph = Graph("demo")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (B, 4)))
    weight = graph.constant(np.zeros((4, 4), np.float32), name=f"{prefix}weight")
    one = graph.constant(np.array(1, np.float32), name=f"{prefix}one")
    place = Location("layer", "aten::mm", Frame("model.py", 7))
    y = graph.add(ops.MatMul(x, weight, transpose_b=True), name=f"{prefix}mm", location=place)
    z = graph.add(ops.Clamp(graph.add(ops.Add(y, one), name=f"{prefix}sum"), maximum=6.0))
    flat = graph.add(ops.Reshape(z, (B * 4,)), name=f"{prefix}flat")
    graph.set_outputs([flat, x], ["out", "same"])
    return graph


def test_names() -> None:
    graph = _graph("a.")
    digest = graph.value("a.weight").constant
    assert digest is not None
    assert str(graph) == (
        "graph demo(%x: float32[batch, 4]) {\n"
        f"  %a.weight = #{digest.digest[:12]} : float32[4, 4]\n"
        "  %a.one = 1.0 : float32[]\n"
        "  %a.mm = MatMul(%x, %a.weight, transpose_a=False, transpose_b=True) : "
        "float32[batch, 4]\n"
        "  %a.sum = Add(%a.mm, %a.one) : float32[batch, 4]\n"
        "  %clamp = Clamp(%a.sum, minimum=None, maximum=6.0) : float32[batch, 4]\n"
        "  %a.flat = Reshape(%clamp, shape=[4*batch]) : float32[4*batch]\n"
        "  return out=%a.flat, same=%x\n"
        "}"
    )


def test_numbers_make_graphs_that_differ_in_names_equal() -> None:
    assert str(_graph("a.")) != str(_graph("b."))
    numbered = text(_graph("a."), names=False)
    assert numbered == text(_graph("b."), names=False)
    assert "  %4 = Add(%3, %2) : float32[batch, 4]" in numbered


def test_places() -> None:
    lines = text(_graph("a."), locations=True).splitlines()
    assert lines[3].endswith(": float32[batch, 4]  # layer aten::mm (model.py:7)")
    assert "#" not in lines[4]


def test_every_kind_of_attribute() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.BFLOAT16, (4,)))
    kind = TensorType(DType.BOOL, (B,))
    graph.add(Tagged(x, extra=x, size=B + 1, sizes=(2, B), nested=((1,), ()), type=kind))
    assert str(graph).splitlines()[1] == (
        "  %tagged = toy.Tagged(%x, extra=%x, number=1.5, flag=True, count=3, text=a, "
        "nothing=None, dtype=bfloat16, size=batch + 1, sizes=[2, batch], nested=[[1], []], "
        "type=bool[batch]) : bfloat16[4]"
    )


def test_several_outputs_and_lists_of_operands() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT32, (4,)))
    parts = graph.add_all(Halves(x), name="h")
    graph.add(ops.Concat(parts, 0), name="c")
    assert str(graph).splitlines()[1:3] == [
        "  %h.0, %h.1 = toy.Halves(%x) : int32[2], int32[2]",
        "  %c = Concat([%h.0, %h.1], axis=0) : int32[4]",
    ]


def test_graphs_inside_are_indented() -> None:
    body = Graph("body")
    kind = TensorType(DType.INT32, ())
    inside = body.add_input("i", kind)
    body.set_outputs([body.add(ops.Neg(inside), name="n")], ["o"])
    graph = Graph()
    graph.add(Twice(graph.add_input("x", kind), body), name="t")
    assert str(graph).splitlines()[1:] == [
        "  %t = toy.Twice(%x, body=body) : int32[]",
        "    graph body(%i: int32[]) {",
        "      %n = Neg(%i) : int32[]",
        "      return o=%n",
        "    }",
        "  return ",
        "}",
    ]


def test_small_constants_print_their_elements() -> None:
    graph = Graph()
    graph.constant(Tensor(np.array([0x3FC0], np.uint16), DType.BFLOAT16), name="b")
    graph.constant(np.array([[True, False]]), name="f")
    graph.constant(np.zeros((0, 2), np.int8), name="e")
    assert str(graph).splitlines()[1:4] == [
        "  %b = [1.5] : bfloat16[1]",
        "  %f = [[True, False]] : bool[1, 2]",
        "  %e = [] : int8[0, 2]",
    ]
