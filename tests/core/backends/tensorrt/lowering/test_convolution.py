"""Convolutions: what the layer is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import build, graph_of, layers, network

from fwd_core.errors import BuildError
from fwd_core.ir import DType, Graph, Tensor, TensorType, ops, symbol

X = TensorType(DType.FLOAT32, (2, 4, 9, 7))
WEIGHT = np.arange(6 * 2 * 3 * 5, dtype=np.float32).reshape(6, 2, 3, 5)


def _convolution(x: Any, w: Any, b: Any = None) -> ops.Convolution:
    return ops.Convolution(x, w, b, (2, 1), (1, 0), (0, 2), (1, 2), groups=2)


def test_every_attribute_reaches_the_layer() -> None:
    graph, _ = graph_of(_convolution, X, WEIGHT, np.arange(6, dtype=np.float32))
    with network(graph) as ctx:
        [layer] = layers(ctx, "IConvolutionLayer")
        assert tuple(layer.kernel_size_nd) == (3, 5)
        assert tuple(layer.stride_nd) == (2, 1)
        assert tuple(layer.pre_padding) == (1, 0)
        assert tuple(layer.post_padding) == (0, 2)
        assert tuple(layer.dilation_nd) == (1, 2)
        assert (layer.num_groups, layer.num_output_maps, layer.num_inputs) == (2, 6, 1)
        np.testing.assert_array_equal(layer.kernel.reshape(WEIGHT.shape), WEIGHT)
        np.testing.assert_array_equal(layer.bias, np.arange(6))


def test_weights_that_are_given_are_inputs_of_the_layer() -> None:
    graph, _ = graph_of(_convolution, X, TensorType(DType.FLOAT32, WEIGHT.shape))
    with network(graph) as ctx:
        [layer] = layers(ctx, "IConvolutionLayer")
        assert layer.get_input(1).name == "x1"
        assert layer.num_inputs == 2


def test_one_axis_is_the_second_of_two() -> None:
    kind = TensorType(DType.FLOAT32, (2, 4, 9))

    def make(x: Any, w: Any) -> ops.Convolution:
        return ops.Convolution(x, w, None, (2,), (1,), (3,), (2,))

    graph, _ = graph_of(make, kind, np.ones((5, 4, 3), np.float32))
    with network(graph) as ctx:
        [layer] = layers(ctx, "IConvolutionLayer")
        assert tuple(layer.kernel_size_nd) == (1, 3)
        assert tuple(layer.stride_nd) == (1, 2)
        assert tuple(layer.pre_padding) == (0, 1)
        assert tuple(layer.post_padding) == (0, 3)
        assert tuple(layer.dilation_nd) == (1, 2)


def test_a_weight_of_unknown_shape_is_refused() -> None:
    maps = symbol("maps", 1, 2, 4)
    graph, _ = graph_of(
        lambda x, w: ops.Convolution(x, w, None, (1, 1), (0, 0), (0, 0), (1, 1)),
        X,
        TensorType(DType.FLOAT32, (maps, 4, 3, 3)),
    )
    with pytest.raises(
        BuildError, match=r"weight needs a static shape, this one is float32\[maps, 4"
    ):
        network(graph).__enter__()


def test_weights_without_a_numpy_type_live_until_the_build() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.BFLOAT16, (1, 3, 5, 5)))
    words = Tensor(np.ones((4, 3, 3, 3), np.float32)).astype(DType.BFLOAT16)
    op = ops.Convolution(x, graph.constant(words), None, (1, 1), (0, 0), (0, 0), (1, 1))
    graph.set_outputs([graph.add(op)], ["y"])
    with network(graph) as ctx:
        assert [tensor.dtype for tensor in ctx.kept] == [DType.BFLOAT16]
    assert len(build(graph).payload()) > 0
