"""Fused operators on TensorRT: their decompositions build, and attention is one kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fusing import every, fuse, layer, weight
from on_openvino import graph_of

pytest.importorskip("tensorrt_rtx")

from fwd_core import Builder
from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol

SIZE, HEADS, LAYERS = 256, 4, 2
#: What else changes where attention is written out.
ATTENTION = {"counts": {"attention": 1}}


def encoder(graph: Graph, x: Value) -> Value:
    for _ in range(LAYERS):
        x = layer(graph, x, SIZE, HEADS)
    return x


@pytest.mark.parametrize("mode", ["float32", "float16"])
@pytest.mark.parametrize("sizes", ["static", "dynamic"])
def test_decompositions_build(mode: str, sizes: str) -> None:
    shape: Any = (2, 64, SIZE)
    if sizes == "dynamic":
        shape = (symbol("batch", 1, 2, 4), symbol("length", 1, 64, 128), SIZE)
    graph = graph_of(encoder, [TensorType(DType.FLOAT32, shape)])
    counts = fuse(graph, every())
    assert counts["self-attention"] == LAYERS
    assert counts["skip-norm"] == 2 * LAYERS
    options = {"gpu": "sm_89", "layers": True}
    engine = Builder(backend="tensorrt", mode=mode, options=options).compile(graph)
    kernels = [one["tactic"] for one in engine.manifest["layers"]]
    fused = sum("mha" in str(name) for name in kernels)
    assert fused == (LAYERS if mode == "float16" else 0), kernels


def masked(graph: Graph, x: Value, tokens: Value | None, size: int, kind: str) -> Value:
    """Attention of two heads with its projections; of ``counts`` written out, as models do."""
    batch, length, wide = x.type.shape

    def number(value: float) -> Value:
        return graph.constant(np.array(value, np.float32))

    def linear(y: Value) -> Value:
        return graph.add(ops.Linear(y, weight(graph, wide, wide), weight(graph, wide)))

    def cut(y: Value) -> Value:
        apart = graph.add(ops.Reshape(y, (batch, length, 2, size)))
        return graph.add(ops.Transpose(apart, (0, 2, 1, 3)))

    query, key, value = (cut(linear(x)) for _ in range(3))
    mask = None if tokens is None else graph.add(ops.Unsqueeze(tokens, (1, 2)))
    least = DType.FLOAT32.limits[0]
    if kind == "counts" and mask is not None:
        left = graph.add(ops.Sub(number(1.0), graph.add(ops.Cast(mask, DType.FLOAT32))))
        scores = graph.add(ops.MatMul(query, key, transpose_b=True))
        scaled = graph.add(ops.Mul(scores, number(size**-0.5)))
        added = graph.add(ops.Add(scaled, graph.add(ops.Mul(left, number(least)))))
        context = graph.add(ops.MatMul(graph.add(ops.Softmax(added, 3)), value))
    else:
        if mask is not None:
            mask = graph.add(ops.Cast(mask, DType.BOOL))
        if mask is not None and kind == "float":
            mask = graph.add(ops.Where(mask, number(0.0), number(least)))
        context = graph.add(ops.Attention(query, key, value, mask))
    joined = graph.add(ops.Transpose(context, (0, 2, 1, 3)))
    return linear(graph.add(ops.Reshape(joined, x.type.shape)))


@pytest.mark.parametrize("size", [32, 48, 64, 80, 128])
@pytest.mark.parametrize("kind", ["no mask", "bool", "float", "counts"])
@pytest.mark.parametrize("sizes", ["static", "dynamic"])
def test_attention_is_one_kernel(size: int, kind: str, sizes: str) -> None:
    shape: Any = (2, 64)
    if sizes == "dynamic":
        shape = (symbol("batch", 1, 2, 4), symbol("length", 1, 64, 128))

    def make(graph: Graph, x: Value, tokens: Value) -> Value:
        return masked(graph, x, None if kind == "no mask" else tokens, size, kind)

    kinds = [TensorType(DType.FLOAT32, (*shape, 2 * size)), TensorType(DType.INT64, shape)]
    graph = graph_of(make, kinds)
    assert fuse(graph, every()) == {"self-attention": 1, **ATTENTION.get(kind, {})}
    options = {"gpu": "sm_89", "layers": True}
    engine = Builder(backend="tensorrt", mode="float16", options=options).compile(graph)
    kernels = [str(one["tactic"]) for one in engine.manifest["layers"]]
    assert sum("mha" in name for name in kernels) == 1, kernels
