"""Fused operators on TensorRT: their decompositions build, and attention is one kernel."""

from __future__ import annotations

from typing import Any

import pytest
from fusing import every, fuse, layer
from on_openvino import graph_of

pytest.importorskip("tensorrt_rtx")

from fwd_core import Builder
from fwd_core.ir import DType, Graph, TensorType, Value, symbol

SIZE, HEADS, LAYERS = 256, 4, 2


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
