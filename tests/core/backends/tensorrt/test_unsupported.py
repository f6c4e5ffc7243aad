"""What cannot be lowered is listed without making a network."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("tensorrt_rtx")

from fwd_core import Builder, Plugins
from fwd_core.backends.tensorrt import network
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.library import load
from fwd_core.errors import BuildError
from fwd_core.ir import DType, Graph, TensorType, ops
from fwd_core.rewrite.precision import PrecisionWarning

PLUGINS = Plugins.discover()


def _power() -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT64, (3,)))
    graph.set_outputs([graph.add(ops.Pow(x, x))], ["y"])
    return graph


def test_lowerings_may_ask_what_the_flavour_can() -> None:
    library = load("tensorrt_rtx")
    assert library.features.integer_power
    assert network.unsupported(_power(), library, PLUGINS.lowerings) == []
    library = replace(library, features=ROWS["tensorrt", "8.6.0"])
    (problem,) = network.unsupported(_power(), library, PLUGINS.lowerings)
    assert problem.operator == "fwd.Pow"
    assert problem.reason == (
        "tensorrt here raises floats to a power, not integers (of int64[3], int64[3])"
    )


def test_by_the_builder_in_half() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT64, (3,)))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    builder = Builder(backend="tensorrt", mode="float16", plugins=PLUGINS)
    with pytest.warns(PrecisionWarning, match="compute in float32"):
        assert builder.unsupported(graph) == []


def test_more_axes_than_there_are() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (1,) * 9))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    with pytest.raises(BuildError, match="TensorRT has tensors of 8 axes at most"):
        Builder(backend="tensorrt", plugins=PLUGINS).unsupported(graph)
