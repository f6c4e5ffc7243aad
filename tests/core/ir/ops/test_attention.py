"""Types of attention, and its decomposition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, DType, Emitter, Graph, TensorType, Value, ops

I = value(5, 4, dtype="int32")  # noqa: E741


def _attention(
    q: tuple[Dim, ...] = (B, 2, 5, 4),
    k: tuple[Dim, ...] = (B, 2, 7, 4),
    v: tuple[Dim, ...] = (B, 2, 7, 3),
    mask: Value | None = None,
    **more: Any,
) -> ops.Attention:
    return ops.Attention(value(*q), value(*k), value(*v), mask, **more)


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        (_attention(), (B, 2, 5, 3)),
        (_attention((5, 4), (7, 4), (7, 3)), (5, 3)),
        (_attention((1, 5, 4), (6, 7, 4), (1, 7, 3)), (6, 5, 3)),
        (_attention((B, H, 4), (B, H, 4), (B, H, 4)), (B, H, 4)),
        (_attention(mask=value(5, 7)), (B, 2, 5, 3)),
        (_attention(mask=value(B, 1, 1, 7, dtype="bool")), (B, 2, 5, 3)),
        (_attention(causal=True), (B, 2, 5, 3)),
    ],
)
def test_shapes(op: ops.Attention, wanted: tuple[Dim, ...]) -> None:
    assert op.infer() == kind(*wanted)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_attention(q=(4,)), "fwd.Attention: rank 2 or more"),
        (_attention(k=(B, 2, 7, 5)), "fwd.Attention features of query and key: sizes differ"),
        (_attention(v=(B, 2, 6, 3)), "fwd.Attention lengths of key and value: sizes differ"),
        (_attention(k=(B, 3, 7, 4)), "fwd.Attention: shapes .* do not broadcast: 2 against 3"),
        (_attention(mask=value(5, 6)), "fwd.Attention: shapes .* do not broadcast"),
        (_attention(mask=value(5, 7, dtype="int32")), "fwd.Attention: mask is bool or float32"),
        (_attention(mask=value(9, 1, 1, 1, 1)), "fwd.Attention: the mask widens the scores"),
        (
            _attention((5, 4), (7, 4), (7, 3), mask=value(2, 5, 7)),
            "fwd.Attention: the mask widens the scores",
        ),
        (
            ops.Attention(value(5, 4), value(7, 4), value(7, 3, dtype="float16")),
            "fwd.Attention: operands need one element type",
        ),
        (
            ops.Attention(I, I, I),
            "fwd.Attention: element type not taken",
        ),
    ],
)
def test_errors(op: ops.Attention, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        op.infer()


def test_scale() -> None:
    assert _attention(scale=0.5).factor() == 0.5
    assert _attention().factor() == 1 / math.sqrt(4)
    wide = _attention((5, H), (7, H), (7, 3))
    assert wide.infer() == kind(5, 3)
    with pytest.raises(GraphError, match="a dynamic feature size needs a scale\n  got:      h"):
        wide.factor()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, "bool", "float16"])
def test_decomposition_has_the_same_type(mask: str | None, causal: bool) -> None:
    graph = Graph()
    q = graph.add_input("q", kind(B, 5, 4, dtype="float16"))
    k = graph.add_input("k", kind(B, H, 4, dtype="float16"))
    v = graph.add_input("v", kind(B, H, 3, dtype="float16"))
    m = None if mask is None else graph.add_input("m", kind(5, H, dtype=mask))
    op = ops.Attention(q, k, v, m, causal=causal)
    result = op.decompose(Emitter(graph, base="attention"))
    graph.set_outputs([result], ["y"])
    graph.verify()
    assert result.type == op.infer() == TensorType(q.type.dtype, (B, 5, 3))
    kinds = [node.op.kind() for node in graph]
    assert "fwd.Attention" not in kinds
    assert ("fwd.ReduceAny" in kinds) == (mask is not None or causal)


ROW = np.array([[0.0, -np.inf], [-1e9, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("make", "may"),
    [
        (lambda graph, x, b: x, True),
        (lambda graph, x, b: b, True),
        (lambda graph, x, b: graph.add(ops.Cast(b, DType.FLOAT32)), False),
        (lambda graph, x, b: graph.constant(ROW), False),
        (lambda graph, x, b: graph.constant(np.full((2, 2), -np.inf, np.float32)), True),
        (lambda graph, x, b: graph.constant(np.eye(2) == 1), False),
        (lambda graph, x, b: graph.constant(np.array([[True], [False]])), True),
        (lambda graph, x, b: chosen(graph, b, -1e9), False),
        (lambda graph, x, b: chosen(graph, b, -np.inf), True),
        (lambda graph, x, b: graph.add(ops.Add(x, chosen(graph, b, -1e9))), True),
        (lambda graph, x, b: times(graph, graph.add(ops.Cast(b, DType.INT64)), -1e4), False),
        (lambda graph, x, b: times(graph, graph.add(ops.Cast(b, DType.INT64)), -1e30), True),
        (lambda graph, x, b: times(graph, x, -1e4), True),
        (lambda graph, x, b: graph.add(ops.Add(least(graph, b), near(graph))), False),
        (lambda graph, x, b: graph.add(ops.Add(least(graph, b), least(graph, b))), True),
        (lambda graph, x, b: graph.add(ops.Cast(half(graph, b), DType.FLOAT32)), True),
        (lambda graph, x, b: graph.add(ops.Gather(near(graph), two(graph), 0)), False),
        (lambda graph, x, b: graph.add(ops.Slice(least(graph, b), 1, 0, 1)), False),
        (lambda graph, x, b: graph.add(ops.Gather(x, two(graph), 0)), True),
    ],
)
def test_masks_that_may_empty_a_row(make: Any, may: bool) -> None:
    graph = Graph()
    x, b = graph.add_input("x", kind(2, 2)), graph.add_input("b", kind(2, 2, dtype="bool"))
    mask = make(graph, x, b)
    op = _attention(mask=mask)
    assert op.may_empty_rows() is may
    causal = _attention(mask=mask, causal=True)
    assert causal.may_empty_rows() is (may or mask.constant is not None)


def chosen(graph: Graph, keep: Value, lowest: float) -> Value:
    """A mask as models write it: 0 where a bool keeps, else a number, with an axis in front."""
    removed = graph.add(ops.Full((), lowest, DType.FLOAT32))
    zero = graph.constant(np.array(0.0, np.float32))
    return graph.add(ops.Unsqueeze(graph.add(ops.Where(keep, zero, removed)), (0,)))


def times(graph: Graph, counts: Value, factor: float) -> Value:
    """A mask as old models write it: what is left of 1, times a great number."""
    one = graph.constant(np.array(1.0, np.float32))
    number = graph.constant(np.array(factor, np.float32))
    left = graph.add(ops.Sub(one, graph.add(ops.Cast(counts, DType.FLOAT32))))
    return graph.add(ops.Mul(left, number))


def least(graph: Graph, keep: Value) -> Value:
    return chosen(graph, keep, DType.FLOAT32.limits[0])


def near(graph: Graph) -> Value:
    """Weights of positions, which are lost beside the least number."""
    return graph.constant(np.full((2, 2), -7.5, np.float32))


def two(graph: Graph) -> Value:
    return graph.constant(np.array([1, 0]))


def half(graph: Graph, keep: Value) -> Value:
    """A mask that leaves the range of half on its way."""
    wide = graph.add(ops.Cast(chosen(graph, keep, -65504.0), DType.FLOAT16))
    return graph.add(ops.Add(wide, wide))


def test_without_a_mask_no_row_is_emptied() -> None:
    assert not _attention(causal=True).may_empty_rows()
