"""Projections, heads and attention become one operator, however the heads are cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fusing import compare, normal, number, only, reasons, weight

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops, symbol
from fwd_plugins_bert.fusions.self_attention import FuseSelfAttention
from fwd_plugins_bert.ops import SelfAttention

F32 = DType.FLOAT32
B, S, H, D = 2, 5, 3, 4
C = H * D
X = normal(B, S, C)
KIND = [TensorType(F32, (B, S, C))]
FUSE = [FuseSelfAttention()]


def linear(graph: Graph, x: Value, out: int = C, bias: bool = True) -> Value:
    return graph.add(
        ops.Linear(x, weight(graph, out, x.type.shape[-1]), weight(graph, out) if bias else None)
    )


def cut(graph: Graph, x: Value, heads: int = H) -> Value:
    """[batch, length, features] to heads."""
    batch, length, features = x.type.shape
    assert isinstance(features, int)
    apart = graph.add(ops.Reshape(x, (batch, length, heads, features // heads)))
    return graph.add(ops.Transpose(apart, (0, 2, 1, 3)))


def joined(graph: Graph, x: Value) -> Value:
    batch, heads, length, size = x.type.shape
    together = graph.add(ops.Transpose(x, (0, 2, 1, 3)))
    return graph.add(ops.Reshape(together, (batch, length, heads * size)), name="context")


def separate(graph: Graph, x: Value, bias: tuple[bool, bool, bool] = (True,) * 3) -> Any:
    return [cut(graph, linear(graph, x, bias=one)) for one in bias]


def one_product(graph: Graph, x: Value) -> Any:
    """All features in one product, queries first."""
    all_three = linear(graph, x, 3 * C)
    return [cut(graph, graph.add(ops.Slice(all_three, 2, i * C, C))) for i in range(3)]


def by_head(graph: Graph, x: Value) -> Any:
    """All features in one product, of each head its query, key and value."""
    apart = graph.add(ops.Reshape(linear(graph, x, 3 * C), (B, S, H, 3 * D)))
    heads = graph.add(ops.Transpose(apart, (0, 2, 1, 3)))
    return [graph.add(ops.Slice(heads, 3, i * D, D)) for i in range(3)]


def stacked(graph: Graph, x: Value) -> Any:
    """As vision models do: an axis of three, brought to the front."""
    apart = graph.add(ops.Reshape(linear(graph, x, 3 * C), (B, S, 3, H, D)))
    front = graph.add(ops.Transpose(apart, (2, 0, 3, 1, 4)))
    return [graph.add(ops.Squeeze(graph.add(ops.Slice(front, 0, i, 1)), (0,))) for i in range(3)]


def length_first(graph: Graph, x: Value) -> Any:
    """As torch's layer does: batch and heads in one axis, tokens in front."""
    turned = graph.add(ops.Transpose(x, (1, 0, 2)))
    found = []
    for _ in range(3):
        flat = graph.add(ops.Reshape(linear(graph, turned), (S, B * H, D)))
        apart = graph.add(ops.Transpose(flat, (1, 0, 2)))
        found.append(graph.add(ops.Reshape(apart, (B, H, S, D))))
    return found


CUTS = [separate, one_product, by_head, stacked, length_first]


@pytest.mark.parametrize("cut_heads", CUTS)
def test_ways_to_cut_heads(cut_heads: Callable[[Graph, Value], Any]) -> None:
    def make(graph: Graph, x: Value) -> Value:
        return joined(graph, graph.add(ops.Attention(*cut_heads(graph, x)), name="attention"))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    fused = only(left, SelfAttention)
    assert (fused.heads, fused.size(), fused.causal) == (H, D, False)
    assert fused.scale == 1 / math.sqrt(D)
    assert fused.weight.type.shape == (3 * C, C)
    assert fused.empty_rows == "zeros"
    if cut_heads is not length_first:
        assert len(left) == 1


def test_a_bias_of_some_projections() -> None:
    def make(graph: Graph, x: Value) -> Value:
        parts = separate(graph, x, (True, False, True))
        return joined(graph, graph.add(ops.Attention(*parts)))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    assert not only(left, SelfAttention).bias.constant.data[C : 2 * C].any()


def test_no_bias() -> None:
    def make(graph: Graph, x: Value) -> Value:
        return joined(graph, graph.add(ops.Attention(*separate(graph, x, (False,) * 3))))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    assert only(left, SelfAttention).bias is None


@pytest.mark.parametrize("kind", ["bool", "float32"])
@pytest.mark.parametrize("causal", [False, True])
def test_masks(kind: str, causal: bool) -> None:
    keep = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)[:, None, None]
    mask = keep if kind == "bool" else np.where(keep, np.float32(0), np.float32(-1e4))

    def make(graph: Graph, x: Value, m: Value) -> Value:
        return joined(graph, graph.add(ops.Attention(*separate(graph, x), m, causal, 0.25)))

    counts, left = compare(make, [X, mask], FUSE)
    assert counts == {"self-attention": 1}
    fused = only(left, SelfAttention)
    assert (fused.causal, fused.scale) == (causal, 0.25)
    assert fused.mask.type.shape == (B, 1, 1, S)


@pytest.mark.parametrize("factor", ["before", "after"])
def test_a_scaled_query(factor: str) -> None:
    def make(graph: Graph, x: Value) -> Value:
        product = linear(graph, x)
        if factor == "before":
            product = graph.add(ops.Mul(product, number(graph, 0.5)))
        query = cut(graph, product)
        if factor == "after":
            query = graph.add(ops.Div(query, number(graph, 2.0)))
        key, value = (cut(graph, linear(graph, x)) for _ in range(2))
        return joined(graph, graph.add(ops.Attention(query, key, value, scale=1.0)))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    assert only(left, SelfAttention).scale == 0.5


def test_dynamic_sizes() -> None:
    batch, length = symbol("batch", 1, 2, 4), symbol("length", 1, 5, 8)

    def make(graph: Graph, x: Value) -> Value:
        return joined(graph, graph.add(ops.Attention(*separate(graph, x))))

    counts, left = compare(make, [X], FUSE, types=[TensorType(F32, (batch, length, C))])
    assert counts == {"self-attention": 1}
    assert len(left) == 1


@pytest.mark.parametrize("sizes", [(1, 5), (2, 1), (1, 1)])
def test_sizes_of_one(sizes: tuple[int, int]) -> None:
    def make(graph: Graph, x: Value) -> Value:
        return joined(graph, graph.add(ops.Attention(*separate(graph, x))))

    counts, _ = compare(make, [normal(*sizes, C)], FUSE)
    assert counts == {"self-attention": 1}


def test_one_head() -> None:
    def make(graph: Graph, x: Value) -> Value:
        parts: Any = [cut(graph, linear(graph, x), 1) for _ in range(3)]
        return joined(graph, graph.add(ops.Attention(*parts)))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    assert only(left, SelfAttention).heads == 1


@pytest.mark.parametrize("empty", [False, True])
def test_written_out_with_minus_infinity(empty: bool) -> None:
    """Softmax gives NaN of a row that has no key, and so does the operator."""
    keep = np.array([[1, 1, 1, 0, 0], [not empty] * 5], bool)[:, None, None]

    def make(graph: Graph, x: Value, keep: Value) -> Value:
        query, key, value = separate(graph, x)
        scores = graph.add(ops.MatMul(query, key, transpose_b=True))
        masked = graph.add(ops.Where(keep, scores, number(graph, -math.inf)))
        weights = graph.add(ops.Softmax(masked, 3))
        return joined(graph, graph.add(ops.MatMul(weights, value)))

    counts, left = compare(make, [X, keep], FUSE)
    assert counts == {"self-attention": 1}
    fused = only(left, SelfAttention)
    assert (fused.empty_rows, fused.mask.type.dtype) == ("nan", DType.BOOL)


def _attention(parts: Callable[[Graph, Value], Any], **more: Any) -> Callable[..., Value]:
    def make(graph: Graph, x: Value) -> Value:
        return joined(graph, graph.add(ops.Attention(*parts(graph, x), **more)))

    return make


def _of_another(graph: Graph, x: Value) -> Any:
    other = graph.add(ops.Abs(x))
    return [cut(graph, linear(graph, one)) for one in (x, other, other)]


def _not_projected(graph: Graph, x: Value) -> Any:
    return [*separate(graph, x)[:2], cut(graph, graph.add(ops.Abs(x)))]


def _scaled_value(graph: Graph, x: Value) -> Any:
    *rest, value = separate(graph, x)
    return [*rest, graph.add(ops.Mul(value, number(graph, 2.0)))]


def _grouped(graph: Graph, x: Value) -> Any:
    query = cut(graph, linear(graph, x))
    return [
        query,
        *(
            graph.add(ops.Expand(cut(graph, linear(graph, x, D), 1), (B, H, S, D)))
            for _ in range(2)
        ),
    ]


def _one_key(graph: Graph, x: Value) -> Any:
    """One key and value for all heads, which attention broadcasts."""
    shared = [cut(graph, linear(graph, x, D), 1) for _ in range(2)]
    return [cut(graph, linear(graph, x)), *shared]


def _heads_first(graph: Graph, x: Value) -> Any:
    return [graph.add(ops.Transpose(one, (1, 0, 2, 3))) for one in separate(graph, x)]


def _some_tokens(graph: Graph, x: Value) -> Any:
    return [graph.add(ops.Slice(one, 2, 1, S - 1)) for one in separate(graph, x)]


def _batch_as_features(graph: Graph, x: Value) -> Any:
    return [graph.add(ops.Transpose(one, (3, 1, 2, 0))) for one in separate(graph, x)]


def _computed_weight(graph: Graph, x: Value) -> Any:
    computed = graph.add(ops.Abs(weight(graph, C, C)))
    return [cut(graph, graph.add(ops.Linear(x, computed))) for _ in range(3)]


def _mixed_up(graph: Graph, x: Value) -> Any:
    """Tokens and heads change places."""
    found = []
    for _ in range(3):
        odd = graph.add(ops.Reshape(linear(graph, x), (B, H, S, D)))
        found.append(odd)
    return found


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (_of_another, "query, key and value are not projections of one tensor"),
        (_not_projected, "a query, key or value is no projection"),
        (_scaled_value, "the values are multiplied by 2"),
        (_grouped, "a query, key or value is no projection"),
        (_one_key, "query, key and value have not the same heads"),
        (_heads_first, "heads are not cut from the features of a projection"),
        (_some_tokens, "heads are not cut from the features of a projection"),
        (_batch_as_features, "heads are not cut from the features of a projection"),
        (_computed_weight, "a weight or bias of a projection is no constant"),
        (_mixed_up, "how heads are cut from a product cannot be followed"),
    ],
)
def test_what_is_left(parts: Callable[[Graph, Value], Any], told: str) -> None:
    assert reasons(_attention(parts), KIND, FuseSelfAttention()) == [told]


def test_a_rank_that_is_left() -> None:
    def make(graph: Graph, x: Value) -> Value:
        parts: Any = []
        for _ in range(3):
            apart = graph.add(ops.Reshape(linear(graph, x), (S, H, D)))
            parts.append(graph.add(ops.Transpose(apart, (1, 0, 2))))
        return graph.add(ops.Attention(*parts))

    told = reasons(make, [TensorType(F32, (S, C))], FuseSelfAttention())
    assert told == ["the projected tensor is not of rank 3"]


def test_a_query_that_others_read() -> None:
    def make(graph: Graph, x: Value) -> Any:
        parts = separate(graph, x)
        return [graph.add(ops.Attention(*parts)), graph.add(ops.Abs(parts[0]))]

    assert reasons(make, KIND, FuseSelfAttention()) == ["others read the query, key or value"]


def _folded(
    batch: int, shape: tuple[int, ...], written: bool = False
) -> Callable[[Graph, Value, Value], Value]:
    """Batch and heads in the first axes of a shape."""

    def make(graph: Graph, x: Value, mask: Value) -> Value:
        query, key, value = (
            graph.add(ops.Reshape(cut(graph, linear(graph, x)), shape)) for _ in range(3)
        )
        if written:
            scores = graph.add(ops.MatMul(query, key, transpose_b=True))
            weights = graph.add(ops.Softmax(graph.add(ops.Add(scores, mask)), len(shape) - 1))
            found = graph.add(ops.MatMul(weights, value))
        else:
            found = graph.add(ops.Attention(query, key, value, mask))
        return joined(graph, graph.add(ops.Reshape(found, (batch, H, S, D))))

    return make


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    ("batch", "shape", "mask"),
    [
        (B, (B * H, S, D), (B * H, 1, S)),
        (B, (B * H, 1, S, D), (B * H, 1, 1, S)),
        (1, (H, 1, S, D), (H, 1, S, S)),
        (B, (1, B * H, S, D), (1, B * H, 1, S)),
        (B, (1, B, H, S, D), (1, 1, 1, S, S)),
    ],
)
def test_a_mask_of_batch_and_heads_in_one_axis(
    batch: int, shape: tuple[int, ...], mask: tuple[int, ...], written: bool
) -> None:
    kinds = [TensorType(F32, (batch, S, C)), TensorType(F32, mask)]
    told = reasons(_folded(batch, shape, written), kinds, FuseSelfAttention())
    assert told == ["the mask is not one of [batch, heads, length, length]"]


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    ("batch", "shape", "mask"),
    [
        (B, (B * H, S, D), (1, 1, S)),
        (B, (B * H, S, D), (S, S)),
        (B, (B * H, 1, S, D), (1, 1, S, S)),
        (1, (1, H, S, D), (1, H, S, S)),
        (B, (B, H, S, D), (H, 1, S)),
    ],
)
def test_a_mask_that_all_sequences_and_heads_share(
    batch: int, shape: tuple[int, ...], mask: tuple[int, ...], written: bool
) -> None:
    arrays = [normal(batch, S, C), normal(*mask)]
    counts, left = compare(_folded(batch, shape, written), arrays, FUSE)
    assert counts == {"self-attention": 1}
    assert only(left, SelfAttention).mask.type.shape == mask


def test_batch_and_heads_in_one_axis() -> None:
    def make(graph: Graph, x: Value) -> Value:
        parts: Any = [
            graph.add(ops.Reshape(cut(graph, linear(graph, x)), (B * H, S, D))) for _ in range(3)
        ]
        found = graph.add(ops.Attention(*parts))
        return joined(graph, graph.add(ops.Reshape(found, (B, H, S, D))))

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    assert len(left) == 1


def test_a_dynamic_head_size_is_left() -> None:
    size: Dim = symbol("size", 1, 4, 8)

    def make(graph: Graph, q: Value) -> Value:
        return graph.add(ops.Attention(q, q, q))

    told = reasons(make, [TensorType(F32, (B, H, S, size))], FuseSelfAttention())
    assert told == ["the size of a head is dynamic"]
