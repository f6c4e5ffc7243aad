"""A small encoder written as a graph, with what GPU tests feed it: no framework is needed."""

from __future__ import annotations

from typing import Union

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops

VOCABULARY, BATCH, LENGTH = 50, 3, 128
#: What a mask adds where there is no token, or that it is bool, or absent.
Mask = Union[float, bool, None]


def encoder(
    batch: Dim,
    mask: Mask,
    size: int = 64,
    heads: int = 2,
    layers: int = 2,
    length: int = LENGTH,
) -> Graph:
    """Embeddings and layers of an encoder, with a scale of attention that is not the usual one."""
    numbers, wide, graph = np.random.default_rng(3), heads * size, Graph("encoder")

    def drawn(*shape: int) -> Value:
        width = shape[-1] if len(shape) > 1 else 16
        return graph.constant(numbers.standard_normal(shape, np.float32) / np.float32(width**0.5))

    def linear(x: Value, out: int) -> Value:
        features = x.type.shape[-1]
        assert isinstance(features, int)
        return graph.add(ops.Linear(x, drawn(out, features), drawn(out)))

    def norm(x: Value) -> Value:
        scale = graph.constant(1 + numbers.standard_normal(wide, np.float32) / 4)
        return graph.add(ops.LayerNorm(x, scale, drawn(wide), 1, 1e-12))

    def cut(x: Value) -> Value:
        apart = graph.add(ops.Reshape(x, (batch, length, heads, size)))
        return graph.add(ops.Transpose(apart, (0, 2, 1, 3)))

    ids = graph.add_input("ids", TensorType(DType.INT64, (batch, length)))
    keep: Value | None = None
    if mask is not None:
        tokens = graph.add_input("tokens", TensorType(DType.INT64, (batch, length)))
        keep = graph.add(ops.Cast(graph.add(ops.Unsqueeze(tokens, (1, 2))), DType.BOOL))
    if isinstance(mask, float) and keep is not None:
        zero, low = (graph.constant(np.array(each, np.float32)) for each in (0.0, mask))
        keep = graph.add(ops.Where(keep, zero, low))
    x = graph.add(ops.Gather(drawn(VOCABULARY, wide), ids, 0))
    x = norm(graph.add(ops.Add(graph.add(ops.Add(x, drawn(1, wide))), drawn(1, length, wide))))
    for _ in range(layers):
        query, key, value = (cut(linear(x, wide)) for _ in range(3))
        context = graph.add(ops.Attention(query, key, value, keep, False, 0.2))
        turned = graph.add(ops.Transpose(context, (0, 2, 1, 3)))
        joined = graph.add(ops.Reshape(turned, (batch, length, wide)))
        x = norm(graph.add(ops.Add(linear(joined, wide), x)))
        between = graph.add(ops.Gelu(linear(x, 2 * wide)))
        x = norm(graph.add(ops.Add(linear(between, wide), x)))
    graph.set_outputs([x], ["y"])
    return graph.verify()


def feeds(mask: Mask, batch: int = BATCH, length: int = LENGTH) -> dict[str, NDArray[np.generic]]:
    """Tokens with gaps; of the last of several sequences a bool mask keeps none."""
    numbers = np.random.default_rng(batch)
    given: dict[str, NDArray[np.generic]] = {"ids": numbers.integers(0, 50, (batch, length))}
    if mask is not None:
        given["tokens"] = (numbers.random((batch, length)) > 0.3).astype(np.int64)
        given["tokens"][:, 0] = 1
        if mask is True and batch > 1:
            given["tokens"][-1] = 0
    return given
