"""Graphs that are written with Quantize and Dequantize, as a calibrated model would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops
from fwd_core.rewrite import run
from fwd_core.rewrite.cleanup import all_rewrites

Array = np.ndarray[Any, Any]


class Quantizing:
    """Adds quantized pieces to a graph."""

    def __init__(self, name: str, *shape: Dim) -> None:
        self.graph = Graph(name)
        self.x = self.graph.add_input("x", TensorType(DType.FLOAT32, shape))
        self._random = np.random.default_rng(0)

    def number(self, *shape: int) -> Value:
        """Floats that differ from call to call."""
        return self.graph.constant(self._random.normal(size=shape).astype(np.float32))

    def pair(
        self, x: Value, amax: float = 4.0, *, unsigned: bool = False, low: int = -128
    ) -> Value:
        """An activation that loses all but 256 values."""
        dtype, low, high = (DType.UINT8, 0, 255) if unsigned else (DType.INT8, low, 127)
        scale = self.graph.constant(np.float32(amax / high))
        q = self.graph.add(ops.Quantize(x, scale, low=low, high=high, dtype=dtype))
        return self.graph.add(ops.Dequantize(q, scale))

    def weight(self, *shape: int, axis: int = 0) -> Value:
        """A weight with a scale for each of an axis."""
        data = self._random.normal(size=shape).astype(np.float32) / 4
        others = tuple(i for i in range(len(shape)) if i != axis)
        scale = self.graph.constant(np.abs(data).max(others) / np.float32(127))
        q = ops.Quantize(self.graph.constant(data), scale, axis=axis, low=-127)
        return self.graph.add(ops.Dequantize(self.graph.add(q), scale, axis=axis))

    def convolution(
        self, x: Value, maps: int = 16, kernel: int = 3, groups: int = 1, *, bias: bool = True
    ) -> Value:
        """A convolution that keeps the size."""
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        weight, pad = self.weight(maps, channels // groups, kernel, kernel), (kernel // 2,) * 2
        shift = self.number(maps) if bias else None
        return self.graph.add(ops.Convolution(x, weight, shift, (1, 1), pad, pad, (1, 1), groups))

    def linear(self, x: Value, features: int = 64) -> Value:
        """A linear layer."""
        given = x.type.shape[-1]
        assert isinstance(given, int)
        weight = self.weight(features, given)
        return self.graph.add(ops.Linear(x, weight, self.number(features)))

    def finish(self, y: Value) -> Graph:
        """The graph, cleaned up as the builder does."""
        self.graph.set_outputs([y], ["y"])
        run(self.graph, all_rewrites(), verify=True)
        return self.graph


def residual(batch: Dim = 2, *, unsigned: bool = False) -> Graph:
    """conv-relu-conv, added to what came in, pooled, and a last convolution: 4 in all."""
    q = Quantizing("residual", batch, 16, 12, 12)
    x = q.pair(q.graph.add(ops.Relu(q.convolution(q.pair(q.x)))), unsigned=unsigned)
    h = q.pair(q.graph.add(ops.Relu(q.convolution(x))), unsigned=unsigned)
    h = q.pair(q.convolution(h), 8.0)
    y = q.pair(q.graph.add(ops.Relu(q.graph.add(ops.Add(h, x)))), 8.0, unsigned=unsigned)
    pooled = q.graph.add(ops.MaxPool(y, (2, 2), (2, 2), (0, 0), (1, 1)))
    return q.finish(q.convolution(pooled, 32, 1))


def depthwise(batch: Dim = 2) -> Graph:
    """A depthwise, a pointwise and a grouped convolution."""
    q = Quantizing("depthwise", batch, 16, 12, 12)
    h = q.pair(q.graph.add(ops.Relu(q.convolution(q.pair(q.x), 16, 3, 16))))
    h = q.pair(q.graph.add(ops.Relu(q.convolution(h, 32, 1))))
    return q.finish(q.convolution(h, 32, 3, 2))


def stack(batch: Dim = 8) -> Graph:
    """Three linear layers."""
    q = Quantizing("stack", batch, 64)
    h = q.graph.add(ops.Relu(q.linear(q.pair(q.x))))
    h = q.graph.add(ops.Gelu(q.linear(q.pair(h))))
    return q.finish(q.linear(q.pair(h)))


def transformer(batch: Dim = 2) -> Graph:
    """Attention of products and softmax, and a feed-forward part: 8 products."""
    q = Quantizing("transformer", batch, 32, 64)
    graph = q.graph
    x = q.pair(q.x)

    def heads(value: Value, order: tuple[int, ...]) -> Value:
        split = graph.add(ops.Reshape(q.pair(value), (batch, 32, 4, 16)))
        return graph.add(ops.Transpose(split, order))

    queries, keys, values = (
        heads(q.linear(x), order) for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    )
    scores = graph.add(ops.MatMul(queries, keys))
    scaled = graph.add(ops.Mul(scores, graph.constant(np.float32(0.25))))
    weights = q.pair(graph.add(ops.Softmax(scaled, 3)), 1.0)
    mixed = graph.add(ops.Transpose(graph.add(ops.MatMul(weights, values)), (0, 2, 1, 3)))
    joined = graph.add(ops.Reshape(mixed, (batch, 32, 64)))
    y = graph.add(ops.Add(q.linear(q.pair(joined)), x))
    norm = graph.add(ops.LayerNorm(y, q.number(64), q.number(64), axes=1, epsilon=1e-5))
    inner = graph.add(ops.Gelu(q.linear(q.pair(norm), 128)))
    return q.finish(graph.add(ops.Add(q.linear(q.pair(inner)), norm)))


def smooth(batch: Dim = 2) -> Graph:
    """Convolutions with SiLU and GELU between them, and a sum: 4 products."""
    q = Quantizing("smooth", batch, 16, 12, 12)
    x = q.pair(q.graph.add(ops.Silu(q.convolution(q.pair(q.x)))))
    h = q.pair(q.graph.add(ops.Silu(q.convolution(x, 16, 3, 16))))
    h = q.graph.add(ops.Add(q.convolution(h, 16, 1), x))
    return q.finish(q.convolution(q.pair(q.graph.add(ops.Gelu(h)), 8.0)))


#: Graphs with how many products they have.
GRAPHS: dict[str, tuple[Callable[..., Graph], int]] = {
    "residual": (residual, 4),
    "depthwise": (depthwise, 3),
    "stack": (stack, 3),
    "transformer": (transformer, 8),
    "smooth": (smooth, 4),
}
