"""Attention that is written out becomes one operator where it computes the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fusing import compare, normal, number, only, reasons

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert.fusions.attention import DropNeutralMask, FuseAttention
from fwd_plugins_bert.padding import padding

F32, BOOL, I64 = DType.FLOAT32, DType.BOOL, DType.INT64
B, H, S, D = 2, 3, 5, 4
QKV = [normal(B, H, S, D) for _ in range(3)]
KEEP = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
KINDS = [TensorType(F32, (B, H, S, D))] * 3
FUSE = [FuseAttention()]
LEAST = F32.limits[0]


def scores(graph: Graph, q: Value, k: Value, *, divided: bool = False) -> Value:
    product = graph.add(ops.MatMul(q, k, transpose_b=True), name="scores")
    if divided:
        return graph.add(ops.Div(product, number(graph, math.sqrt(D))))
    return graph.add(ops.Mul(product, number(graph, 0.5)))


def context(graph: Graph, masked: Value, v: Value) -> Value:
    weights = graph.add(ops.Softmax(masked, masked.type.rank - 1), name="weights")
    return graph.add(ops.MatMul(weights, v), name="context")


def chosen(graph: Graph, keep: Value, lowest: float) -> Value:
    """What is added: 0 where a bool keeps, else a number."""
    wide = graph.add(ops.Unsqueeze(keep, (1, 2)))
    return graph.add(ops.Where(wide, number(graph, 0.0), number(graph, lowest)))


@pytest.mark.parametrize("divided", [False, True])
def test_without_a_mask(divided: bool) -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        return context(graph, scores(graph, q, k, divided=divided), v)

    counts, left = compare(make, QKV, FUSE)
    assert counts == {"attention": 1}
    (attention,) = left
    assert isinstance(attention, ops.Attention)
    assert attention.mask is None
    assert attention.scale == pytest.approx(0.5)
    assert not attention.causal


def test_operands_with_swapped_axes() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        product = graph.add(ops.MatMul(q, k, transpose_a=True))
        weights = graph.add(ops.Softmax(product, 3))
        return graph.add(ops.MatMul(weights, v, transpose_b=True))

    swapped = [np.ascontiguousarray(one.swapaxes(2, 3)) for one in QKV]
    counts, left = compare(make, [swapped[0], swapped[1], swapped[2]], FUSE)
    assert counts == {"attention": 1}
    assert only(left, ops.Attention).scale == 1.0


def test_scale_of_query_and_key() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        q = graph.add(ops.Div(q, number(graph, 2.0)))
        k = graph.add(ops.Mul(number(graph, 3.0), k))
        return context(graph, graph.add(ops.MatMul(q, k, transpose_b=True)), v)

    counts, left = compare(make, QKV, FUSE)
    assert counts == {"attention": 1}
    assert only(left, ops.Attention).scale == 1.5


@pytest.mark.parametrize("lowest", [LEAST, -10000.0])
@pytest.mark.parametrize("order", ["mask last", "mask first", "subtracted"])
def test_additive_masks(lowest: float, order: str) -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value, keep: Value) -> Value:
        added, raw = chosen(graph, keep, lowest), scores(graph, q, k)
        if order == "subtracted":
            masked = graph.add(ops.Sub(raw, chosen(graph, keep, -lowest)))
        else:
            masked = graph.add(ops.Add(*((raw, added) if order == "mask last" else (added, raw))))
        return context(graph, masked, v)

    for keep in (KEEP, KEEP * [[0], [1]]):  # a sequence without any token too
        counts, left = compare(make, [*QKV, keep != 0], FUSE)
        assert counts == {"attention": 1}
        attention = only(left, ops.Attention)
        assert attention.mask is not None
        assert attention.mask.type == TensorType(F32, (B, 1, 1, S))


def test_a_mask_of_counts_as_old_models_write_it() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value, mask: Value) -> Value:
        wide = graph.add(ops.Cast(graph.add(ops.Unsqueeze(mask, (1, 2))), F32))
        left = graph.add(ops.Sub(number(graph, 1.0), wide))
        added = graph.add(ops.Mul(left, number(graph, -10000.0)))
        return context(graph, graph.add(ops.Add(scores(graph, q, k), added)), v)

    counts, left = compare(make, [*QKV, KEEP], FUSE)
    assert counts == {"attention": 1}
    assert not only(left, ops.Attention).may_empty_rows()


def _of_counts(graph: Graph, tokens: Value, marks_padding: bool, lowest: float) -> Value:
    """What is added to scores by integers that are multiplied by a number."""
    padded = graph.add(ops.Cast(tokens, F32))
    if not marks_padding:
        padded = graph.add(ops.Sub(number(graph, 1.0), padded))
    return graph.add(ops.Mul(padded, number(graph, lowest)))


@pytest.mark.parametrize("marks_padding", [False, True])
@pytest.mark.parametrize("expanded", [False, True])
def test_integers_of_a_padding_mask_are_0_or_1(marks_padding: bool, expanded: bool) -> None:
    """As transformers 4 writes it; most other integers would make infinities."""

    def make(graph: Graph, q: Value, k: Value, v: Value, tokens: Value) -> Value:
        wide = graph.add(ops.Unsqueeze(tokens, (1, 2)))
        if expanded:
            wide = graph.add(ops.Expand(wide, (B, 1, S, S)))
        added = _of_counts(graph, wide, marks_padding, LEAST)
        return context(graph, graph.add(ops.Add(scores(graph, q, k), added)), v)

    for keep in (KEEP, KEEP * [[0], [1]]):
        counts, left = compare(make, [*QKV, 1 - keep if marks_padding else keep], FUSE)
        assert counts == {"attention": 1}
        attention = only(left, ops.Attention)
        assert not attention.may_empty_rows()
        found = padding(attention.mask)
        assert found is not None
        assert (found.kept, found.added) == (int(not marks_padding), LEAST)


@pytest.mark.parametrize(
    ("shape", "lowest", "factor"),
    [((B, 1, S, S), LEAST, 1.0), ((B, S), LEAST, 4.0), ((B, S), -math.inf, 1.0)],
)
def test_integers_that_are_left(shape: tuple[int, ...], lowest: float, factor: float) -> None:
    """Of queries too, so none of padding; or infinite even of 0 and 1."""

    def make(graph: Graph, q: Value, k: Value, v: Value, tokens: Value) -> Value:
        wide = tokens if tokens.type.rank == 4 else graph.add(ops.Unsqueeze(tokens, (1, 2)))
        added = _of_counts(graph, wide, False, lowest)
        masked = graph.add(ops.Add(scores(graph, q, k), added))
        return context(graph, graph.add(ops.Mul(masked, number(graph, factor))), v)

    kinds = [*KINDS, TensorType(I64, shape)]
    assert reasons(make, kinds, FuseAttention()) == [NAN]


@pytest.mark.parametrize("inverted", [False, True])
def test_scores_replaced_by_the_least_number(inverted: bool) -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value, keep: Value) -> Value:
        wide, low = graph.add(ops.Unsqueeze(keep, (1, 2))), number(graph, LEAST)
        raw = scores(graph, q, k)
        masked = ops.Where(wide, low, raw) if inverted else ops.Where(wide, raw, low)
        return context(graph, graph.add(masked), v)

    for keep in (KEEP, KEEP * [[0], [1]]):
        counts, _ = compare(make, [*QKV, (keep != 0) ^ inverted], FUSE)
        assert counts == {"attention": 1}


def test_two_masks_become_one() -> None:
    bias = normal(1, H, S, S)

    def make(graph: Graph, q: Value, k: Value, v: Value, keep: Value) -> Value:
        biased = graph.add(ops.Add(scores(graph, q, k), graph.constant(bias)))
        return context(graph, graph.add(ops.Add(biased, chosen(graph, keep, LEAST))), v)

    counts, left = compare(make, [*QKV, KEEP != 0], FUSE)
    assert counts == {"attention": 1}
    assert only(left, ops.Attention).mask.type == TensorType(F32, (B, H, S, S))


def _relative(graph: Graph, q: Value, k: Value, v: Value, keep: Value, normed: bool) -> Value:
    """Scores of relative positions, which depend on the query, and a mask of padding."""
    if normed:
        q = graph.add(ops.LayerNorm(q, None, None, 1, 1e-5))
    of_positions = graph.add(ops.MatMul(q, graph.constant(normal(D, S))))
    biased = graph.add(ops.Add(scores(graph, q, k), of_positions))
    return context(graph, graph.add(ops.Add(biased, chosen(graph, keep, LEAST))), v)


def test_scores_of_positions_are_added_with_the_mask() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value, keep: Value) -> Value:
        return _relative(graph, q, k, v, keep, normed=True)

    counts, left = compare(make, [*QKV, KEEP != 0], FUSE)
    assert counts == {"attention": 1}
    attention = only(left, ops.Attention)
    assert attention.mask.type == TensorType(F32, (B, H, S, S))
    assert not attention.may_empty_rows()


def test_scores_of_positions_of_anything_are_left() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value, keep: Value) -> Value:
        return _relative(graph, q, k, v, keep, normed=False)

    assert reasons(make, [*KINDS, TensorType(BOOL, (B, S))], FuseAttention()) == [NAN]


def test_a_mask_that_is_scaled_too() -> None:
    bias = normal(H, S, S)

    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        raw = graph.add(ops.MatMul(q, k, transpose_b=True))
        biased = graph.add(ops.Add(raw, graph.constant(bias)))
        return context(graph, graph.add(ops.Div(biased, number(graph, 2.0))), v)

    counts, left = compare(make, QKV, FUSE)
    assert counts == {"attention": 1}
    assert only(left, ops.Attention).scale == 0.5


def test_a_mask_of_zeros_is_left_out() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        zeros = graph.constant(np.zeros((B, 1, S, S), np.float32))
        return context(graph, graph.add(ops.Add(scores(graph, q, k), zeros)), v)

    counts, left = compare(make, QKV, FUSE)
    assert counts == {"attention": 1}
    assert only(left, ops.Attention).mask is None


NAN = "the mask may be minus infinity in a whole row, which gives NaN here and zeros in Attention"
Change = Callable[[Graph, Value, Value], Value]


@pytest.mark.parametrize(
    ("masked", "told"),
    [
        (lambda g, raw, keep: g.add(ops.Add(raw, chosen(g, keep, -math.inf))), NAN),
        (
            lambda g, raw, keep: g.add(
                ops.Where(g.add(ops.Unsqueeze(keep, (1, 2))), raw, number(g, -math.inf))
            ),
            NAN,
        ),
        (
            lambda g, raw, keep: g.add(
                ops.Where(g.add(ops.Unsqueeze(keep, (1, 2))), raw, number(g, -1e4))
            ),
            "the mask puts -10000 in the place of scores, and a row without any key would differ "
            "from one that it is added to",
        ),
        (
            lambda g, raw, keep: g.add(
                ops.Add(g.add(ops.Unsqueeze(raw, (0,))), g.constant(np.ones((2, 1, 1, 1, 1), "f")))
            ),
            None,
        ),
        (lambda g, raw, keep: g.add(ops.Abs(raw)), None),
    ],
)
def test_masks_that_are_left(masked: Change, told: str | None) -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value, keep: Value) -> Value:
        return context(graph, masked(graph, scores(graph, q, k), keep), v)

    kinds = [*KINDS, TensorType(BOOL, (B, S))]
    assert reasons(make, kinds, FuseAttention()) == ([told] if told else [])


def test_weights_that_others_read() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Any:
        found = context(graph, scores(graph, q, k), v)
        return [found, graph.value("weights")]

    assert reasons(make, KINDS, FuseAttention()) == ["others read the weights"]


def test_a_mask_that_widens_the_scores() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        wide = graph.constant(normal(4, 1, S, S))
        return context(graph, graph.add(ops.Add(scores(graph, q, k), wide)), v)

    kinds = [TensorType(F32, (1, H, S, D))] * 3
    assert reasons(make, kinds, FuseAttention()) == ["a mask widens the scores"]


def test_ranks_that_differ() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        return context(graph, scores(graph, q, k), v)

    kinds = [*KINDS[:2], TensorType(F32, (S, D))]
    assert reasons(make, kinds, FuseAttention()) == ["query, key and value have not the same axes"]


@pytest.mark.parametrize("axis", [1, 2])
def test_a_softmax_over_another_axis_is_no_attention(axis: int) -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        return graph.add(ops.MatMul(graph.add(ops.Softmax(scores(graph, q, k), axis)), v))

    assert reasons(make, KINDS, FuseAttention()) == []


def test_a_classifier_with_a_softmax_is_no_attention() -> None:
    def make(graph: Graph, q: Value, k: Value, v: Value) -> Value:
        logits = graph.add(ops.MatMul(q, graph.constant(normal(D, S))))
        return context(graph, logits, v)

    assert reasons(make, KINDS, FuseAttention()) == []


class TestNeutralMasks:
    @pytest.mark.parametrize(
        "mask", [np.ones((B, 1, S, S), bool), np.zeros((S, S), np.float32)], ids=["bool", "float"]
    )
    def test_they_go(self, mask: Any) -> None:
        counts, left = compare(
            lambda graph, q, k, v: graph.add(ops.Attention(q, k, v, graph.constant(mask), True)),
            QKV,
            [DropNeutralMask()],
        )
        assert counts == {"neutral-mask": 1}
        attention = only(left, ops.Attention)
        assert attention.mask is None
        assert attention.causal

    @pytest.mark.parametrize(
        "mask", [np.eye(S) == 0, np.full((S, S), -1e-3, np.float32)], ids=["bool", "float"]
    )
    def test_others_stay(self, mask: Any) -> None:
        found = reasons(
            lambda graph, q, k, v: graph.add(ops.Attention(q, k, v, graph.constant(mask))),
            KINDS,
            DropNeutralMask(),
        )
        assert found == []
