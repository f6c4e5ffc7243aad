"""Graphs of any types stay well-formed and keep their edges."""

from __future__ import annotations

from graphs import graphs
from hypothesis import given

from fwd_core.ir import Graph
from fwd_core.quantize.placement import place, quantizable


@given(graphs())
def test_any_graph(graph: Graph) -> None:
    before = str(graph)
    names = quantizable(graph)
    assert str(graph) == before
    placement = place(graph, dict.fromkeys(names, 1.0))
    assert str(graph.verify()) == before  # none of these operators multiplies
    assert names == []
    assert placement.coverage == 1.0
