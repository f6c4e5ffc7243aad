"""Fused operators: what they take, and that decompositions compute what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from on_openvino import build, run

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Emitter, Graph, TensorType, Value, symbol
from fwd_core.rewrite.precision import to_half
from fwd_plugins_bert.ops import EmbeddingNorm, GeluBias, SelfAttention, SkipNorm

F32, I64, BOOL = DType.FLOAT32, DType.INT64, DType.BOOL
RNG = np.random.default_rng(3)
B, S, C, H = 2, 5, 12, 3
Array = Any


def normal(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def normalized(x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
    x = x.astype(np.float64)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return ((x - mean) / np.sqrt(variance + epsilon) * scale + shift).astype(np.float32)


def value(graph: Graph, name: str, *shape: Any, dtype: DType = F32) -> Value:
    return graph.add_input(name, TensorType(dtype, shape))


def test_skip_norm() -> None:
    x, skip, bias, scale, shift = normal(B, S, C), normal(B, S, C), *(normal(C) for _ in range(3))
    (got,) = run(lambda graph, *v: graph.add(SkipNorm(*v, 1e-3)), x, skip, bias, scale, shift)
    np.testing.assert_allclose(got, normalized(x + bias + skip, scale, shift, 1e-3), atol=1e-5)
    (got,) = run(lambda graph, a, b: graph.add(SkipNorm(a, b, None, None, None, 1e-3)), x, skip)
    np.testing.assert_allclose(got, normalized(x + skip, 1, 0, 1e-3), atol=1e-5)


def test_embedding_norm() -> None:
    words, types, places = normal(7, C), normal(2, C), normal(1, S, C)
    scale, shift = normal(C), normal(C)
    ids, of_type = RNG.integers(-7, 7, (B, S)), RNG.integers(0, 2, (B, S))

    def make(graph: Graph, a: Value, b: Value, i: Value, t: Value, *more: Value) -> Value:
        place, *parameters = more
        return graph.add(EmbeddingNorm((a, b), (i, t), (place,), *parameters, 1e-5))

    (got,) = run(make, words, types, ids, of_type, places, scale, shift)
    expected = normalized(words[ids] + types[of_type] + places, scale, shift, 1e-5)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_bias(approximate: Any) -> None:
    x, bias = normal(B, 40), normal(40)
    (got,) = run(lambda graph, a, b: graph.add(GeluBias(a, b, approximate)), x, bias)
    y = (x + bias).astype(np.float64)
    if approximate == "none":
        expected = y / 2 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    else:
        expected = y / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    np.testing.assert_allclose(got, expected, atol=2e-6)


def attended(
    x: Array, weight: Array, bias: Array, mask: Array, scale: float, causal: bool, nan: bool
) -> Array:
    """The operator as its documentation says it, by NumPy."""
    parts = np.split(x.astype(np.float64) @ weight.T.astype(np.float64) + bias, 3, -1)
    query, key, values = (p.reshape(B, S, H, -1).transpose(0, 2, 1, 3) for p in parts)
    scores = query @ key.swapaxes(2, 3) * scale
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tri(S, dtype=bool), scores, -np.inf)
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights = weights / weights.sum(-1, keepdims=True)
    weights = weights if nan else np.nan_to_num(weights, nan=0.0)
    return (weights @ values).transpose(0, 2, 1, 3).reshape(B, S, -1).astype(np.float32)


@pytest.mark.parametrize("empty_rows", ["zeros", "nan"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [None, "bool", "added", "added, infinite"])
def test_self_attention(kind: str | None, causal: bool, empty_rows: Any) -> None:
    x, weight, bias = normal(B, S, C), normal(3 * C, C), normal(3 * C)
    keep = np.array([[1, 1, 1, 0, 0], [0] * 5], bool)[:, None, None]
    lowest = np.float32(-30 if kind == "added" else -np.inf)
    mask = None if kind is None else keep if kind == "bool" else np.where(keep, 0, lowest)

    def make(graph: Graph, a: Value, w: Value, b: Value, *m: Value) -> Value:
        given = m[0] if m else None
        return graph.add(SelfAttention(a, w, b, given, H, 0.3, causal, empty_rows))

    arrays = [x, weight, bias] if mask is None else [x, weight, bias, mask]
    (got,) = run(make, *arrays)
    expected = attended(x, weight, bias, mask, 0.3, causal, empty_rows == "nan")
    np.testing.assert_allclose(got, expected, atol=1e-5)


def _attention(graph: Graph, **more: Any) -> SelfAttention:
    given: dict[str, Any] = {
        "x": value(graph, "x", B, S, C),
        "weight": value(graph, "w", 3 * C, C),
        "bias": None,
        "mask": None,
        "heads": H,
        "scale": 1.0,
    }
    return SelfAttention(**(given | more))


def _embedding(graph: Graph, **more: Any) -> EmbeddingNorm:
    given: dict[str, Any] = {
        "tables": (value(graph, "t", 7, C),),
        "indices": (value(graph, "i", B, S, dtype=I64),),
        "added": (),
        "scale": None,
        "shift": None,
        "epsilon": 1e-5,
    }
    return EmbeddingNorm(**(given | more))


def _skip(graph: Graph, **more: Any) -> SkipNorm:
    given: dict[str, Any] = {
        "x": value(graph, "x", B, S, C),
        "skip": value(graph, "s", B, S, C),
        "bias": None,
        "scale": None,
        "shift": None,
        "epsilon": 1e-5,
    }
    return SkipNorm(**(given | more))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda g: _attention(g, x=value(g, "y", S, C)), "x of rank 3, weight of rank 2"),
        (lambda g: _attention(g, heads=5), "three times the heads divide the rows of the weight"),
        (lambda g: _attention(g, heads=0), "three times the heads divide the rows of the weight"),
        (lambda g: _attention(g, bias=value(g, "b", C)), r"bert.SelfAttention: b\n.*\[36\]"),
        (lambda g: _attention(g, weight=value(g, "v", 3 * C, 4)), "input features"),
        (
            lambda g: _attention(g, mask=value(g, "m", B, 2, S, S)),
            r"bert.SelfAttention: the mask\n  expected: \[2, 3, 5, 5\]",
        ),
        (lambda g: _attention(g, mask=value(g, "m", S, S, dtype=I64)), "mask is bool or float32"),
        (lambda g: _attention(g, x=value(g, "y", B, S, C, dtype=I64)), "need one float dtype"),
        (lambda g: _embedding(g, tables=()), "one or more tables, and as many index tensors"),
        (
            lambda g: _embedding(g, indices=(value(g, "j", B, S),)),
            "indices are int32 or int64 of one shape",
        ),
        (lambda g: _embedding(g, tables=(value(g, "u", 7, C, 1),)), "tables have rows of one size"),
        (lambda g: _embedding(g, added=(value(g, "a", S, S, C),)), "bert.EmbeddingNorm: a"),
        (lambda g: _embedding(g, added=(value(g, "a", 1, B, S, C),)), "bert.EmbeddingNorm: a"),
        (lambda g: _embedding(g, scale=value(g, "a", S)), r"bert.EmbeddingNorm: a\n.*\[12\]"),
        (lambda g: _skip(g, skip=value(g, "y", S, C)), "x and skip of one shape"),
        (lambda g: _skip(g, bias=value(g, "b", S)), r"bert.SkipNorm: b\n  expected: \[12\]"),
        (
            lambda g: _skip(g, scale=value(g, "b", C, dtype=DType.FLOAT16)),
            "operands need one float dtype\n  got:      float16, float32",
        ),
        (lambda g: GeluBias(value(g, "x"), value(g, "b", 1)), "x needs rank 1 or more"),
        (lambda g: GeluBias(value(g, "x", 3), value(g, "b", 4)), r"bert.GeluBias: b"),
    ],
)
def test_errors(make: Any, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        make(Graph()).infer()


@pytest.mark.parametrize("make", [_attention, _embedding, _skip])
def test_half_types_are_normalized_in_float32(make: Any) -> None:
    """The operators compute in half, and what is inside says where it does not."""
    graph = Graph()
    graph.set_outputs([graph.add(make(graph), name="y")], ["y"])
    assert to_half(graph) == 1
    (node,) = [node for node in graph if node.op.namespace == "bert"]
    assert node.output.type.dtype is DType.FLOAT16
    emit = Emitter.before(node)
    graph.replace_node(node, node.op.decompose(emit))  # type: ignore[arg-type]
    graph.verify()
    norms = [node for node in graph if node.op.kind() == "fwd.LayerNorm"]
    assert len(norms) == (make is not _attention)
    assert all(node.output.type.dtype is F32 for node in norms)


def test_dynamic_sizes_keep_their_types() -> None:
    graph = Graph()
    batch, length = symbol("batch", 1, 2, 4), symbol("length", 1, 5, 8)
    x = value(graph, "dynamic", batch, length, C)
    op = _attention(graph, x=x, mask=value(graph, "m", batch, 1, 1, length, dtype=BOOL))
    assert op.infer() == x.type
    result = op.decompose(Emitter(graph, base="attention"))
    assert result.type == x.type
    graph.set_outputs([result], ["y"])
    graph.verify()


@pytest.mark.parametrize("constant", [False, True])
def test_constant_weights_are_cut_before_the_product(constant: bool) -> None:
    graph = Graph()
    x = value(graph, "x", B, S, C)
    w, b = normal(3 * C, C), normal(3 * C)
    if constant:
        weight, bias = graph.constant(w), graph.constant(b)
    else:
        weight, bias = value(graph, "w", 3 * C, C), value(graph, "b", 3 * C)
    op = SelfAttention(x, weight, bias, None, H, 0.3)
    graph.set_outputs([op.decompose(Emitter(graph, base="attention"))], ["y"])
    graph.verify()
    kinds = [node.op.kind() for node in graph]
    assert kinds.count("fwd.Linear") == (3 if constant else 1)
    assert kinds.count("fwd.Slice") == (0 if constant else 3)
    got = build(graph).run_list([normal(B, S, C)] if constant else [normal(B, S, C), w, b])
    assert got[0].shape == (B, S, C)
