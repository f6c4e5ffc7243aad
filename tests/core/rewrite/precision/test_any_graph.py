"""Graphs of any types stay well-formed and keep their edges."""

from __future__ import annotations

import warnings

from graphs import graphs
from hypothesis import given
from toy_ops import Twice

from fwd_core.ir import DType, Graph, ops
from fwd_core.rewrite.precision import PrecisionWarning, narrow_float64, to_half


def _edges(graph: Graph) -> list[object]:
    named = zip(graph.output_names, graph.outputs, strict=True)
    outputs = [(name, value.type) for name, value in named]
    return [*((value.name, value.type) for value in graph.inputs), *outputs]


@given(graphs())
def test_half(graph: Graph) -> None:
    edges = _edges(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        to_half(graph)
        assert _edges(graph.verify()) == edges
        once = str(graph)
        to_half(graph)
    assert str(graph.verify()) == once


@given(graphs())
def test_float64(graph: Graph) -> None:
    edges = _edges(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        narrow_float64(graph)
    assert _edges(graph.verify()) == edges
    for node in graph:
        doubles = [value for value in node.outputs if value.type.dtype is DType.FLOAT64]
        assert all(isinstance(node.op, (ops.Cast, Twice)) or x in graph.outputs for x in doubles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert narrow_float64(graph) == 0
