"""What engines make of their inputs, as `fwd bench` tells it."""

from __future__ import annotations

import numpy as np
import toy_backend
from toy_sums import SumsPack
from values import kind

from fwd_core import Builder, Engine, Plugins
from fwd_core.cli import made
from fwd_core.ir import Derived, Graph, ops

X = np.array([[0, 2, 3], [0, 0, 0]], np.float32)


def _engine(*derived: Derived) -> Engine:
    graph = Graph("sums")
    x = graph.add_input("x", kind(2, 3))
    for one in derived:
        for name in one.gives:
            x = graph.add(ops.Add(x, graph.add_input(name, kind(2, 1))))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    graph.derived = derived
    return Builder(plugins=Plugins({"toy": toy_backend, "sums": SumsPack()})).compile(graph)


def test_nothing_is_made() -> None:
    assert made.of(_engine(), {"x": X}) == []
    assert made.facts([]) == {}


def test_what_is_made_may_be_made_of_what_was_made() -> None:
    chain = [
        Derived("toy.sums", ("x",), ("sums",)),
        Derived("toy.doubled", ("sums",), ("doubled",)),
    ]
    found = made.of(_engine(*chain), {"x": X})
    assert [one["reads"] for one in found] == [
        {"x": {"elements": 6, "not_0": 2}},
        {"sums": {"elements": 2, "not_0": 1}},
    ]
    assert made.facts(found)["made"] == (
        "sums float32[2, 1] of x (33.3 % not 0); doubled float32[2, 1] of sums (50 % not 0)"
    )
