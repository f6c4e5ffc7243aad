"""What cannot be lowered is listed without making a network."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("tensorrt_rtx")

from fwd_core import Builder, Plugins
from fwd_core.backends.tensorrt import network
from fwd_core.backends.tensorrt.library import load
from fwd_core.errors import BuildError
from fwd_core.ir import DType, Graph, TensorType, ops

PLUGINS = Plugins.discover()


def _power() -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT64, (3,)))
    graph.set_outputs([graph.add(ops.Pow(x, x))], ["y"])
    return graph


@pytest.mark.parametrize("known", [True, False])
def test_lowerings_may_ask_what_the_flavour_can(known: bool) -> None:
    library = load("tensorrt_rtx")
    library = replace(library, features=replace(library.features, integer_power=known))
    problems = network.unsupported(_power(), library, PLUGINS.lowerings)
    reason = "tensorrt_rtx here raises floats to a power, not integers (of int64[3], int64[3])"
    found = [(problem.operator, problem.reason) for problem in problems]
    assert found == ([] if known else [("fwd.Pow", reason)])


def test_by_the_builder_in_half() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT64, (3,)))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    builder = Builder(backend="tensorrt", mode="float16", plugins=PLUGINS)
    assert builder.unsupported(graph) == []


def test_more_axes_than_there_are() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (1,) * 9))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    with pytest.raises(BuildError, match="TensorRT has tensors of 8 axes at most"):
        Builder(backend="tensorrt", plugins=PLUGINS).unsupported(graph)
