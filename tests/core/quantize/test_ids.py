"""Ids in calibration data, and the tables that they pick rows of."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from values import kind

from fwd_core.errors import InputError
from fwd_core.ir import DType, Graph, Location, TensorType, Value, ops, symbol
from fwd_core.quantize import ids

TABLE = np.zeros((5, 3), np.float32)
N = symbol("n", 1, 4, 64)
PLAIN = Location("table", "aten::index")


def _ids(graph: Graph, dtype: DType = DType.INT64) -> Value:
    return graph.add_input("ids", TensorType(dtype, (2, 3)))


def _gather(graph: Graph, indices: Value, place: Location = PLAIN, table: Any = TABLE) -> Graph:
    rows = graph.constant(table, name=f"{place.module}.weight")
    picked = graph.add(ops.Gather(rows, indices, 0), location=place, name=place.module)
    graph.set_outputs([picked], ["y"])
    return graph.verify()


def _limits(graph: Graph) -> dict[str, list[tuple[int, int]]]:
    return {
        name: [(one.least, one.rows - 1) for one in found]
        for name, found in ids.tables(graph).items()
    }


def test_ids_that_pick_are_known_through_what_keeps_them() -> None:
    graph = Graph("g")
    value: Any = graph.add(ops.Transpose(_ids(graph), (1, 0)))
    value = graph.add(ops.Unsqueeze(value, (0,)))
    value = graph.add(ops.Reshape(value, (6,)))
    value = graph.add(ops.Cast(value, DType.INT32))
    assert _limits(_gather(graph, value)) == {"ids": [(-5, 4)]}


def test_embeddings_take_no_negative_ids() -> None:
    graph = Graph("g")
    words = _gather(graph, _ids(graph), Location("words", "aten::embedding"))
    assert _limits(words) == {"ids": [(0, 4)]}
    ids.check(ids.tables(words), {"ids": np.array([[0, 1, 4]])})
    ids.check(ids.tables(words), {"ids": np.zeros((0, 3), np.int64)})
    text = (
        "input 'ids' has numbers that pick no row of a table of 5\n"
        "  expected: 0 … 4\n  got:      5 at [0, 1], and 1 more\n"
        "  the table is picked from by words aten::embedding\n"
        "  Hint: the ids must be of this very model's vocabulary"
    )
    with pytest.raises(InputError, match=re.escape(text)):
        ids.check(ids.tables(words), {"ids": np.array([[0, 5, -1]])})


@pytest.mark.parametrize("wrong", [-6, 5, 2**40])
def test_others_count_negative_ones_from_the_end(wrong: int) -> None:
    graph = Graph("g")
    known = ids.tables(_gather(graph, _ids(graph)))
    ids.check(known, {"ids": np.array([[-5, -1, 4]])})
    with pytest.raises(InputError, match=rf"expected: -5 … 4\n  got:      {wrong} at \[0, 2\]\n"):
        ids.check(known, {"ids": np.array([[0, 1, wrong]])})


def test_several_tables_have_each_their_own() -> None:
    graph = Graph("g")
    given = _ids(graph)
    _gather(graph, given)
    second = _gather(graph, given, Location("other", "aten::index"), TABLE[:2])
    assert _limits(second) == {"ids": [(-5, 4), (-2, 1)]}
    with pytest.raises(InputError, match="a table of 2"):
        ids.check(ids.tables(second), {"ids": np.array([2])})


def test_what_is_computed_or_cut_before_is_left_out() -> None:
    def computed(graph: Graph) -> Value:
        return graph.add(ops.Add(value := _ids(graph), value))

    def cut(graph: Graph) -> Value:
        return graph.add(ops.Slice(_ids(graph), 1, 0, 2))

    def wrapped(graph: Graph) -> Value:
        small = graph.add(ops.Cast(_ids(graph), DType.UINT8))
        return graph.add(ops.Cast(small, DType.INT64))

    for make in (computed, cut, wrapped):
        graph = Graph("g")
        assert _limits(_gather(graph, make(graph))) == {}


def test_tables_of_a_dynamic_size_are_left_out() -> None:
    graph = Graph("g")
    indices, table = _ids(graph), graph.add_input("x", kind(N, 3))
    graph.set_outputs([graph.add(ops.Gather(table, indices, 0))], ["y"])
    assert _limits(graph.verify()) == {}
