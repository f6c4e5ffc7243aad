"""Sums of embeddings that are normalized become one operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fusing import compare, only, reasons, weight

from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol
from fwd_plugins_bert.fusions.embedding import FuseEmbeddingNorm
from fwd_plugins_bert.ops import EmbeddingNorm

IDS = np.array([[1, 2, 3, 0, -1], [4, 3, 2, 1, 0]])
TYPES = np.array([[0, 0, 1, 1, 1], [0, 1, 0, 1, 0]])
KIND = TensorType(DType.INT64, (2, 5))
FUSE = [FuseEmbeddingNorm()]


def rows(graph: Graph, indices: Value, count: int = 6) -> Value:
    return graph.add(ops.Gather(weight(graph, count, 8), indices, 0), name="rows")


def total(graph: Graph, *terms: Value) -> Value:
    found = terms[0]
    for term in terms[1:]:
        found = graph.add(ops.Add(found, term), name="sum")
    return found


def norm(graph: Graph, x: Value, axes: int = 1) -> Value:
    shape = [size for size in x.type.shape[-axes:] if isinstance(size, int)]
    return graph.add(ops.LayerNorm(x, weight(graph, *shape), weight(graph, *shape), axes, 1e-5))


def test_words_types_and_positions() -> None:
    def make(graph: Graph, ids: Value, types: Value) -> Value:
        terms = rows(graph, ids), rows(graph, types, 2), weight(graph, 1, 5, 8)
        return norm(graph, total(graph, *terms))

    counts, left = compare(make, [IDS, TYPES], FUSE)
    assert counts == {"embedding-norm": 1}
    fused = only(left, EmbeddingNorm)
    assert [table.type.shape[0] for table in fused.tables] == [6, 2]
    assert [index.name for index in fused.indices] == ["x0", "x1"]
    assert [one.type.shape for one in fused.added] == [(1, 5, 8)]
    assert len(left) == 1


def test_sums_in_any_order() -> None:
    def make(graph: Graph, ids: Value, types: Value) -> Value:
        inner = total(graph, weight(graph, 8), rows(graph, types, 2))
        return norm(graph, total(graph, inner, total(graph, weight(graph, 5, 8), rows(graph, ids))))

    counts, left = compare(make, [IDS, TYPES], FUSE)
    assert counts == {"embedding-norm": 1}
    fused = only(left, EmbeddingNorm)
    assert (len(fused.tables), len(fused.added)) == (2, 2)


def test_one_table_alone() -> None:
    counts, left = compare(lambda graph, ids: norm(graph, rows(graph, ids)), [IDS], FUSE)
    assert counts == {"embedding-norm": 1}
    assert only(left, EmbeddingNorm).added == ()


def test_rows_that_all_sequences_share_are_added() -> None:
    def make(graph: Graph, ids: Value, places: Value) -> Value:
        return norm(graph, total(graph, rows(graph, ids), rows(graph, places, 5)))

    counts, left = compare(make, [IDS, np.arange(5)], FUSE)
    assert counts == {"embedding-norm": 1}
    assert len(only(left, EmbeddingNorm).tables) == 1
    assert only(left, ops.Gather) is not None


def test_dynamic_sizes() -> None:
    length = symbol("length", 1, 5, 8)
    kinds = [TensorType(DType.INT64, (symbol("batch", 1, 2, 4), length))] * 2

    def make(graph: Graph, ids: Value, types: Value) -> Value:
        return norm(graph, total(graph, rows(graph, ids), rows(graph, types, 2)))

    counts, _ = compare(make, [IDS, TYPES], FUSE, types=kinds)
    assert counts == {"embedding-norm": 1}


def test_a_sum_inside_that_others_read_is_one_term() -> None:
    def make(graph: Graph, ids: Value, types: Value) -> Any:
        first = total(graph, rows(graph, ids), weight(graph, 8))
        return [norm(graph, total(graph, first, rows(graph, types, 2))), first]

    counts, left = compare(make, [IDS, TYPES], FUSE)
    assert counts == {"embedding-norm": 1}
    fused = only(left, EmbeddingNorm)
    assert (len(fused.tables), len(fused.added)) == (1, 1)


def _read(graph: Graph, ids: Value) -> Any:
    found = total(graph, rows(graph, ids), weight(graph, 8))
    return [norm(graph, found), found]


def _narrow(graph: Graph, ids: Value) -> Any:
    place = graph.add(ops.Slice(ids, 0, 0, 1))
    return norm(graph, total(graph, weight(graph, 2, 5, 8), rows(graph, place)))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_read, ["others read the sum of embeddings"]),
        (
            lambda graph, ids: norm(graph, rows(graph, ids), 2),
            ["it normalizes more than the last axis"],
        ),
        (_narrow, ["no table is indexed for the whole of the sum"]),
        (lambda graph, ids: norm(graph, graph.add(ops.Cast(ids, DType.FLOAT32))), []),
    ],
)
def test_what_is_left(make: Any, told: list[str]) -> None:
    assert reasons(make, [KIND], FuseEmbeddingNorm()) == told


def test_a_table_that_is_computed_is_a_term_like_others() -> None:
    def make(graph: Graph, ids: Value) -> Value:
        table = graph.add(ops.Abs(weight(graph, 6, 8)))
        return norm(graph, graph.add(ops.Gather(table, ids, 0)))

    assert reasons(make, [KIND], FuseEmbeddingNorm()) == []
