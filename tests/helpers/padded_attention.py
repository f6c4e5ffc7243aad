"""Attention with a mask of padding, and the projection after it, with what they give in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fwd_core import Engine
from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops

_LENGTH, _HEADS, _WIDTH = 5, 4, 4
_ALL = _HEADS * _WIDTH
_NUMBERS = np.random.default_rng(11)
WEIGHT = _NUMBERS.standard_normal((_ALL, _ALL), np.float32)
BIAS = _NUMBERS.standard_normal(_ALL, np.float32)


def projected(graph: Graph, value: Value) -> Value:
    """A projection, after the heads are put side by side."""
    batch = value.type.shape[0]
    flat = graph.add(ops.Reshape(value, (batch, _LENGTH, _ALL)))
    linear = ops.Linear(flat, graph.constant(WEIGHT), graph.constant(BIAS))
    return graph.add(linear, name="projection")


def attention_and_projection(
    batch: Dim,
    after: Callable[[Graph, Value], Value],
    dtype: DType = DType.BOOL,
    *,
    queries: int = 1,
) -> Graph:
    """Attention of three inputs [batch, heads, length, width], then what ``after`` adds.

    The mask is [batch, 1, queries, length]: bool, or float32 that is minus infinity for no key.
    """
    graph = Graph("padded")
    shape = (batch, _HEADS, _LENGTH, _WIDTH)
    three = [graph.add_input(name, TensorType(DType.FLOAT32, shape)) for name in "qkv"]
    mask = graph.add_input("mask", TensorType(dtype, (batch, 1, queries, _LENGTH)))
    found = graph.add(ops.Attention(*three, mask), name="attention")
    turned = graph.add(ops.Transpose(found, (0, 2, 1, 3)))
    graph.set_outputs([after(graph, turned)], ["y"])
    return graph.verify()


def assert_right(
    engine: Engine, dtype: DType, tolerance: float, *, exact_padding: bool = True
) -> None:
    """Three sequences, the last of which keeps no key, give what the definition says.

    If padding is not to be exact, that sequence gives finite numbers.
    """
    numbers = np.random.default_rng(12)
    q, k, v = (numbers.standard_normal((3, _HEADS, _LENGTH, _WIDTH), np.float32) for _ in range(3))
    keep = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)[:, None, None]
    mask = keep if dtype is DType.BOOL else np.where(keep, 0, -np.inf).astype(np.float32)
    scores = np.where(keep, q @ k.swapaxes(2, 3) / np.sqrt(_WIDTH), -np.inf)
    weights = np.exp(scores - np.maximum(scores.max(-1, keepdims=True), -1e30))
    weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    heads = (weights @ v).transpose(0, 2, 1, 3).reshape(3, _LENGTH, _ALL)
    wanted = heads @ WEIGHT.T + BIAS
    np.testing.assert_allclose(wanted[2], np.broadcast_to(BIAS, wanted[2].shape))
    found = engine.run({"q": q, "k": k, "v": v, "mask": mask})["y"]
    assert np.isfinite(found).all()
    kept = slice(None) if exact_padding else slice(2)
    np.testing.assert_allclose(found[kept], wanted[kept], atol=tolerance, rtol=tolerance)
