"""The clean-up as a whole."""

from __future__ import annotations

import numpy as np
from graphs import graphs
from hypothesis import given
from values import B, kind

from fwd_core.ir import DType, Graph, ops
from fwd_core.rewrite import run
from fwd_core.rewrite.cleanup import all_rewrites


def test_names_are_unique() -> None:
    names = [rewrite.name for rewrite in all_rewrites()]
    assert len(names) == len(set(names)) >= 6


def test_rewrites_help_one_another() -> None:
    graph = Graph()
    x = graph.add_input("x", kind(B, 4))
    weight = graph.constant(np.eye(4, dtype=np.float32), name="w")
    ends = []
    for branch in "ab":
        flat = graph.add(ops.Reshape(weight, (16,)), name=f"{branch}.flat")
        back = graph.add(ops.Cast(flat, DType.FLOAT32), name=f"{branch}.cast")
        again = graph.add(ops.Reshape(back, (4, 4)), name=f"{branch}.again")
        ends.append(graph.add(ops.MatMul(x, again), name=f"{branch}.mm"))
    graph.add(ops.Neg(ends[0]), name="dead")
    graph.set_outputs([graph.add(ops.Add(*ends), name="sum")], ["y"])
    counts = run(graph, all_rewrites(), verify=True)
    assert [f"{type(node.op).__name__} {node.name}" for node in graph] == [
        "Constant a.again",
        "MatMul a.mm",
        "Add sum",
    ]
    assert len(graph.constants) == 1
    assert counts["remove-identities"] == 2
    assert counts["merge-reshapes"] == 2
    assert counts["merge-duplicates"] == 1


@given(graphs())
def test_any_graph_stays_well_formed_and_comes_to_rest(graph: Graph) -> None:
    types = [value.type for value in (*graph.inputs, *graph.outputs)]
    names = list(graph.output_names)
    run(graph, all_rewrites(), verify=True)
    assert [value.type for value in (*graph.inputs, *graph.outputs)] == types
    assert graph.output_names == names
    settled = str(graph.verify())
    assert not any(run(graph, all_rewrites()).values())
    assert str(graph) == settled
