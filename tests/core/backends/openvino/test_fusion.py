"""OpenVINO's own kernels: the forms that lowerings emit must still be the ones it fuses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from on_openvino import Array, build, graph_of

from fwd_core.ir import DType, Graph, TensorType, Value, ops

pytest.importorskip("openvino")

#: Kernels that hold data or move it between layouts; the rest is what computes.
STORAGE = {"Input", "Output", "Const", "Reorder", "Reshape"}


RNG = np.random.default_rng(0)


def normal(*shape: int) -> Array:
    """Numbers that differ from call to call: equal weights would be merged."""
    return RNG.normal(size=shape).astype(np.float32)


def kernels(make: Any, *shapes: tuple[int, ...]) -> Counter[str]:
    """How many kernels of each kind OpenVINO runs."""
    kinds = [TensorType(DType.FLOAT32, shape) for shape in shapes]
    plan: Any = build(graph_of(make, kinds)).plan
    names = [
        node.get_rt_info()["layerType"].astype(str)
        for node in plan.compiled.get_runtime_model().get_ordered_ops()
    ]
    return Counter(name for name in names if name not in STORAGE)


def convolution(graph: Graph, x: Value, kernel: int, groups: int = 1) -> Value:
    weight = graph.constant(normal(16, 16 // groups, kernel, kernel))
    pad = (kernel // 2,) * 2
    return graph.add(ops.Convolution(x, weight, None, (1, 1), pad, pad, (1, 1), groups))


def batch_norm(graph: Graph, x: Value) -> Value:
    mean, variance = graph.constant(normal(16)), graph.constant(np.abs(normal(16)) + 0.1)
    return graph.add(ops.BatchNorm(x, mean, variance, mean, variance, 1e-5))


def test_residual_block_is_two_convolutions() -> None:
    def make(graph: Graph, x: Value) -> Value:
        y = graph.add(ops.Relu(batch_norm(graph, convolution(graph, x, 3))))
        y = batch_norm(graph, convolution(graph, y, 3))
        return graph.add(ops.Relu(graph.add(ops.Add(y, x))))

    assert kernels(make, (1, 16, 16, 16)) == {"Convolution": 2}


def test_inverted_residual_is_its_convolutions() -> None:
    def make(graph: Graph, x: Value) -> Value:
        y = graph.add(ops.Clamp(batch_norm(graph, convolution(graph, x, 1)), 0.0, 6.0))
        y = graph.add(ops.Clamp(batch_norm(graph, convolution(graph, y, 3, groups=16)), 0.0, 6.0))
        return graph.add(ops.Add(batch_norm(graph, convolution(graph, y, 1)), x))

    assert kernels(make, (1, 16, 16, 16)) == {"Convolution": 3}


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_linear_with_bias_and_gelu_is_one_kernel(approximate: Any) -> None:
    def make(graph: Graph, x: Value) -> Value:
        y = graph.add(ops.Linear(x, graph.constant(normal(64, 32)), graph.constant(normal(64))))
        return graph.add(ops.Gelu(y, approximate))

    assert kernels(make, (1, 8, 32)) == {"FullyConnected": 1}


def test_layer_norm_is_mvn_and_one_pass() -> None:
    def make(graph: Graph, x: Value) -> Value:
        scale, shift = graph.constant(normal(32)), graph.constant(normal(32) + 1)
        return graph.add(ops.LayerNorm(x, scale, shift, 1, 1e-5))

    assert kernels(make, (1, 8, 32)) == {"MVN": 1, "Subgraph": 1}


def heads(graph: Graph, x: Value) -> Value:
    weight, bias = graph.constant(normal(64, 64)), graph.constant(normal(64))
    y = graph.add(ops.Reshape(graph.add(ops.Linear(x, weight, bias)), (1, 128, 4, 16)))
    return graph.add(ops.Transpose(y, (0, 2, 1, 3)))


def test_attention_is_one_kernel() -> None:
    def make(graph: Graph, x: Value) -> Value:
        query, key, value = (heads(graph, x) for _ in range(3))
        y = graph.add(ops.Attention(query, key, value))
        y = graph.add(ops.Transpose(y, (0, 2, 1, 3)))
        return graph.add(ops.Reshape(y, (1, 128, 64)))

    # Three projections, the key turned for the first product, and all the rest in one.
    assert kernels(make, (1, 128, 64)) == {"FullyConnected": 3, "Transpose": 1, "Subgraph": 1}


def test_attention_with_a_mask_is_one_kernel_too() -> None:
    def make(graph: Graph, x: Value, numbers: Value) -> Value:
        zero = graph.constant(np.array(0.0, np.float32))
        mask = graph.add(ops.Greater(numbers, zero))
        for _ in range(2):
            query, key, value = (heads(graph, x) for _ in range(3))
            y = graph.add(ops.Attention(query, key, value, mask))
            x = graph.add(ops.Reshape(graph.add(ops.Transpose(y, (0, 2, 1, 3))), (1, 128, 64)))
        return x

    found = kernels(make, (1, 128, 64), (1, 1, 128, 128))
    # Per layer as above; once the mask as numbers, and whether it leaves a row anything.
    assert found.pop("Reduce") == 1
    assert found.pop("Eltwise", 0) + found["Subgraph"] <= 2 + 3
    assert found["FullyConnected"] == 6
    assert found["Transpose"] == 2


def test_written_out_attention_is_one_kernel() -> None:
    def make(graph: Graph, x: Value, mask: Value) -> Value:
        query, key, value = (heads(graph, x) for _ in range(3))
        key = graph.add(ops.Transpose(key, (0, 1, 3, 2)))
        scores = graph.add(ops.MatMul(query, key))
        scores = graph.add(ops.Mul(scores, graph.constant(np.array(0.25, np.float32))))
        scores = graph.add(ops.Add(scores, mask))
        weights = graph.add(ops.Softmax(scores, 3))
        y = graph.add(ops.Transpose(graph.add(ops.MatMul(weights, value)), (0, 2, 1, 3)))
        return graph.add(ops.Reshape(y, (1, 128, 64)))

    found = kernels(make, (1, 128, 64), (1, 1, 1, 128))
    assert found["Subgraph"] == 1
    assert set(found) <= {"FullyConnected", "Transpose", "Subgraph"}
