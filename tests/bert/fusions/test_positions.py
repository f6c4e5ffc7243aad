"""Masks of positions that come to nothing, and those that do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fusing import compare, fuse, reasons
from on_openvino import graph_of

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops, symbol
from fwd_plugins_bert.fusions.positions import DecideComparisons, DropDecided, DropGather

BOOL, I64, F32 = DType.BOOL, DType.INT64, DType.FLOAT32
BATCH, LENGTH = symbol("batch", 1, 2, 4), symbol("length", 1, 5, 8)
TOKENS = TensorType(BOOL, (BATCH, LENGTH))
KEEP = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
ALL: list[Any] = [DecideComparisons(), DropDecided(), DropGather()]


def integer(graph: Graph, value: int) -> Value:
    return graph.constant(np.array(value), name="number")


def positions(graph: Graph, axes: tuple[int, ...] = (), length: Dim = LENGTH) -> Value:
    counted = graph.add(ops.Arange(length))
    return graph.add(ops.Unsqueeze(counted, axes)) if axes else counted


def coordinates(
    graph: Graph, *columns: Value, shape: Sequence[Dim] = (BATCH, 1, 1, LENGTH)
) -> Value:
    wide = [graph.add(ops.Expand(one, tuple(shape))) for one in columns]
    last = (len(shape),)
    return graph.add(
        ops.Concat(tuple(graph.add(ops.Unsqueeze(one, last)) for one in wide), len(shape))
    )


def gathered(graph: Graph, tokens: Value) -> Value:
    """The mask of padding at every position in order, as transformers picks it."""
    rows = positions(graph, (1, 2, 3), BATCH)
    zero = integer(graph, 0)
    columns = graph.add(ops.Add(positions(graph, (0, 1, 2)), zero))
    wrapped = graph.add(ops.Add(columns, graph.add(ops.DimValue(LENGTH, I64))))
    negative = graph.add(ops.Less(columns, zero))
    columns = graph.add(ops.Where(negative, wrapped, columns))
    return graph.add(ops.GatherND(tokens, coordinates(graph, rows, columns)))


def test_a_whole_mask_of_transformers() -> None:
    def make(graph: Graph, tokens: Value) -> Value:
        later = graph.add(ops.GreaterEqual(positions(graph, (0, 1, 3)), integer(graph, 0)))
        always = graph.add(ops.And(graph.add(ops.Full((), True, BOOL)), later))
        return graph.add(ops.And(always, gathered(graph, tokens)))

    counts, left = compare(make, [KEEP], ALL, types=[TOKENS])
    assert counts["gather-all"] == 1
    assert {type(op) for op in left} <= {ops.Reshape, ops.Expand}


@pytest.mark.parametrize("batch", [1, 2])
def test_a_whole_mask_of_a_fixed_batch(batch: int) -> None:
    """Its rows are picked by constants: 0, 1 …, or one 0."""

    def make(graph: Graph, tokens: Value) -> Value:
        rows = graph.constant(np.arange(batch).reshape(batch, 1, 1, 1))
        picked = coordinates(graph, rows, positions(graph, (0, 1, 2)), shape=(batch, 1, 1, LENGTH))
        return graph.add(ops.GatherND(tokens, picked))

    counts, left = compare(make, [KEEP[:batch]], ALL, types=[TensorType(BOOL, (batch, LENGTH))])
    assert counts == {"gather-all": 1}
    assert {type(op) for op in left} == {ops.Reshape}


@pytest.mark.parametrize(
    ("kind", "number", "truth"),
    [
        (ops.GreaterEqual, 0, True),
        (ops.Greater, -1, True),
        (ops.Less, 9, True),
        (ops.LessEqual, 8, True),
        (ops.Less, 0, False),
        (ops.LessEqual, -1, False),
        (ops.Greater, 8, False),
        (ops.GreaterEqual, 9, False),
        (ops.Greater, 0, None),
        (ops.Less, 8, None),
        (ops.GreaterEqual, 1, None),
        (ops.LessEqual, 7, None),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_comparisons(kind: Any, number: int, truth: bool | None, swapped: bool) -> None:
    turned = {
        ops.Less: ops.Greater,
        ops.Greater: ops.Less,
        ops.LessEqual: ops.GreaterEqual,
        ops.GreaterEqual: ops.LessEqual,
    }

    def make(graph: Graph, tokens: Value) -> Any:
        a, b = positions(graph, (0,)), integer(graph, number)
        found = turned[kind](b, a) if swapped else kind(a, b)
        return [graph.add(found), tokens]

    graph = graph_of(make, [TOKENS])
    counts = fuse(graph, [DecideComparisons()])
    assert counts == ({} if truth is None else {"positions": 1})
    if truth is not None:
        made = graph.outputs[0].producer
        assert made is not None
        assert isinstance(made.op, ops.Full)
        assert made.op.value is truth
        assert made.output.type == TensorType(BOOL, (1, LENGTH))


@pytest.mark.parametrize(
    "make",
    [
        lambda g, x: g.add(ops.Less(x, integer(g, 0))),
        lambda g, x: g.add(ops.Less(g.add(ops.Cast(positions(g), F32)), g.constant(np.float32(9)))),
        lambda g, x: g.add(ops.GreaterEqual(g.add(ops.Arange(LENGTH, -1)), integer(g, -1))),
        lambda g, x: g.add(
            ops.GreaterEqual(g.add(ops.Add(positions(g), integer(g, 2**63 - 4))), integer(g, 0))
        ),
    ],
    ids=["input", "float", "other start", "wraps"],
)
def test_what_cannot_be_decided(make: Callable[[Graph, Value], Value]) -> None:
    assert reasons(make, [TensorType(I64, (LENGTH,))], DecideComparisons()) == []


def test_choices_that_are_made() -> None:
    def make(graph: Graph, x: Value, y: Value) -> Any:
        yes = graph.add(ops.Full((5,), True, BOOL))
        no = graph.add(ops.Full((), False, BOOL))
        return [
            graph.add(ops.Where(yes, x, y)),
            graph.add(ops.Where(no, x, y)),
            graph.add(ops.Or(graph.add(ops.Cast(y, BOOL)), no)),
        ]

    arrays = [np.arange(10).reshape(2, 5), np.ones(5, np.int64)]
    counts, left = compare(make, arrays, [DropDecided()])
    assert counts == {"decided": 3}
    assert not any(isinstance(op, (ops.Where, ops.Or)) for op in left)


def test_truths_that_decide_otherwise_stay() -> None:
    def make(graph: Graph, tokens: Value) -> Any:
        yes = graph.add(ops.Full((), True, BOOL))
        return graph.add(ops.Or(tokens, yes))

    assert reasons(make, [TOKENS], DropDecided()) == []


Make = Callable[[Graph, Value], Value]


def _shifted(graph: Graph, tokens: Value) -> Value:
    columns = graph.add(ops.Arange(LENGTH - 1, 1))
    rows = positions(graph, (1,), BATCH)
    picked = coordinates(graph, rows, columns, shape=(BATCH, LENGTH - 1))
    return graph.add(ops.GatherND(tokens, picked))


def _fewer(graph: Graph, tokens: Value) -> Value:
    rows, columns = positions(graph, (1,), BATCH), positions(graph, (), LENGTH - 1)
    picked = coordinates(graph, rows, columns, shape=(BATCH, LENGTH - 1))
    return graph.add(ops.GatherND(tokens, picked))


def _turned(graph: Graph, tokens: Value) -> Value:
    rows, columns = positions(graph, (), BATCH), positions(graph, (1,), LENGTH)
    return graph.add(ops.GatherND(tokens, coordinates(graph, rows, columns, shape=(LENGTH, BATCH))))


def _rows(graph: Graph, tokens: Value) -> Value:
    return graph.add(ops.GatherND(tokens, graph.add(ops.Unsqueeze(positions(graph), (1,)))))


def _first_row(graph: Graph, tokens: Value) -> Value:
    rows, columns = integer(graph, 0), positions(graph)
    return graph.add(ops.GatherND(tokens, coordinates(graph, rows, columns, shape=(BATCH, LENGTH))))


def _first_column(graph: Graph, tokens: Value) -> Value:
    rows, columns = positions(graph, (1,), BATCH), integer(graph, 0)
    return graph.add(ops.GatherND(tokens, coordinates(graph, rows, columns, shape=(BATCH, LENGTH))))


def _one_row(graph: Graph, tokens: Value) -> Value:
    rows, columns = integer(graph, 0), positions(graph, (0,))
    return graph.add(ops.GatherND(tokens, coordinates(graph, rows, columns, shape=(1, LENGTH))))


def _backwards(graph: Graph, tokens: Value) -> Value:
    rows = graph.constant(np.array([[1], [0]]))
    columns = positions(graph, (0,))
    return graph.add(ops.GatherND(tokens, coordinates(graph, rows, columns, shape=(2, LENGTH))))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_first_row, []),
        (_first_column, []),
        (_one_row, ["not all of an axis is picked"]),
        (_backwards, []),
        (_shifted, []),
        (_fewer, ["not all of an axis is picked"]),
        (_turned, []),
        (_rows, []),
    ],
)
def test_other_gathers_stay(make: Make, told: list[str]) -> None:
    assert reasons(make, [TOKENS], DropGather()) == told
