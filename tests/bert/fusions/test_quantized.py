"""Projections in eight bits are joined with their scales; what differs is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fusing import compare, normal, only, reasons, weight

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert import fusions
from fwd_plugins_bert.fusions.self_attention import FuseSelfAttention
from fwd_plugins_bert.ops import SelfAttention

B, S, C, H = 2, 5, 12, 3
X = normal(B, S, C)
KIND = [TensorType(DType.FLOAT32, (B, S, C))]
FUSE: list[fusions.Fusion[Any]] = [FuseSelfAttention()]


def pair(graph: Graph, x: Value, scale: float = 0.03) -> Value:
    step = graph.constant(np.float32(scale))
    return graph.add(ops.Dequantize(graph.add(ops.Quantize(x, step)), step))


def narrow(graph: Graph, *, whole: bool = False, stored: bool = False, low: int = -127) -> Value:
    """A weight with a scale per row or one in all, as floats that are quantized or as integers."""
    data = weight(graph, C, C).constant
    assert data is not None
    numbers = data.numpy()
    steps = np.abs(numbers).max() if whole else np.abs(numbers).max(1)
    scale = graph.constant(np.asarray(steps / 127, np.float32))
    axis = None if whole else 0
    if stored:
        held = scale.constant.numpy()  # type: ignore[union-attr]
        divided = numbers / (held if whole else held[:, None])
        return graph.add(
            ops.Dequantize(graph.constant(np.round(divided).astype(np.int8)), scale, axis=axis)
        )
    quantized = ops.Quantize(graph.constant(numbers), scale, axis=axis, low=low)
    return graph.add(ops.Dequantize(graph.add(quantized), scale, axis=axis))


def attention(graph: Graph, x: Value, weights: list[Value]) -> Value:
    shared = pair(graph, x)
    parts: Any = []
    for one in weights:
        product = graph.add(ops.Linear(shared, one, weight(graph, C)))
        apart = graph.add(ops.Reshape(product, (B, S, H, C // H)))
        parts.append(graph.add(ops.Transpose(apart, (0, 2, 1, 3))))
    joined = graph.add(ops.Transpose(graph.add(ops.Attention(*parts)), (0, 2, 1, 3)))
    return graph.add(ops.Reshape(joined, (B, S, C)))


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("whole", [(False,) * 3, (True,) * 3, (False, True, True)])
def test_scales_are_joined(whole: tuple[bool, ...], stored: bool) -> None:
    def make(graph: Graph, x: Value) -> Value:
        return attention(graph, x, [narrow(graph, whole=one, stored=stored) for one in whole])

    counts, left = compare(make, [X], FUSE)
    assert counts == {"self-attention": 1}
    made = only(left, SelfAttention).weight.producer.op
    assert isinstance(made, ops.Dequantize)
    assert made.axis == 0
    assert made.scale.type.shape == (3 * C,)


def _mixed(graph: Graph, x: Value) -> Value:
    return attention(graph, x, [narrow(graph), narrow(graph), weight(graph, C, C)])


def _bounds(graph: Graph, x: Value) -> Value:
    return attention(graph, x, [narrow(graph), narrow(graph), narrow(graph, low=-128)])


def _computed(graph: Graph, x: Value) -> Value:
    other = graph.add(ops.Abs(narrow(graph)))
    return attention(graph, x, [narrow(graph), narrow(graph), pair(graph, other)])


def _columns(graph: Graph, x: Value) -> Value:
    scale = graph.constant(np.full(C, 0.01, np.float32))
    quantized = graph.add(ops.Quantize(weight(graph, C, C), scale, axis=1))
    other = graph.add(ops.Dequantize(quantized, scale, axis=1))
    return attention(graph, x, [narrow(graph), narrow(graph), other])


def _two_scales(graph: Graph, x: Value) -> Value:
    steps = [graph.constant(np.float32(one)) for one in (0.01, 0.02)]
    quantized = graph.add(ops.Quantize(weight(graph, C, C), steps[0]))
    other = graph.add(ops.Dequantize(quantized, steps[1]))
    return attention(graph, x, [narrow(graph), narrow(graph), other])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_mixed, "not all projections are quantized alike"),
        (_bounds, "not all projections are quantized alike"),
        (_computed, "a weight or bias of a projection is no constant"),
        (_columns, "a weight or bias of a projection is no constant"),
        (_two_scales, "a weight or bias of a projection is no constant"),
    ],
)
def test_what_is_left(make: Any, told: str) -> None:
    assert reasons(make, KIND, FuseSelfAttention()) == [told]


def test_a_quantized_sum_is_normalized_as_any() -> None:
    """Placement puts pairs on what is added; they stay, and the sum fuses around them."""
    from fwd_plugins_bert.fusions.skip_norm import FuseSkipNorm
    from fwd_plugins_bert.ops import SkipNorm

    def make(graph: Graph, x: Value) -> Value:
        product = graph.add(ops.Linear(pair(graph, x), narrow(graph), weight(graph, C)))
        total = graph.add(ops.Add(pair(graph, product), pair(graph, x)))
        return pair(graph, graph.add(ops.LayerNorm(total, weight(graph, C), None, 1, 1e-5)))

    counts, left = compare(make, [X], [FuseSkipNorm()])
    assert counts == {"skip-norm": 1}
    fused = only(left, SkipNorm)
    assert isinstance(fused.x.producer.op, ops.Dequantize)
