"""Ranges of a network serve it whatever of it is kept in float."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from net_recipes import Recipe, made, recipes

from fwd_core.ir import ops
from fwd_core.quantize.placement import place, quantizable


@given(recipes(), st.data())
def test_no_range_is_missing(recipe: Recipe, data: st.DataObject) -> None:
    graph = made(recipe)
    names = quantizable(graph)
    nodes = [node.name for node in graph if not isinstance(node.op, ops.Constant)]
    skip = data.draw(st.lists(st.sampled_from(nodes), max_size=3, unique=True))
    types = {value.name: value.type for value in graph.values()}
    placement = place(graph, dict.fromkeys(names, 1.0), skip=skip)
    graph.verify()
    assert placement.unquantized == {}
    assert set(placement.scales) <= set(names)
    assert not set(placement.quantized) & set(placement.floats)
    kept = {name for name in placement.floats if name in skip}
    assert kept == {name for name in skip if graph.find(name) is not None}
    for node in graph:
        operands = list(node.op.operands())
        paired = any(value.name.endswith("/dequantized") for value in operands)
        assert not paired or node.name in placement.quantized
        if node.name in types:
            assert node.output.type == types[node.name]
