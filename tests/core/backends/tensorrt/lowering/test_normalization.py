"""Normalizations: what TensorRT computes while it makes a network, and what layers are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import build, computed, graph_of, layers, network, numbers

from fwd_core.backends.tensorrt.lowering.normalization import _normalized
from fwd_core.ir import DType, TensorType, ops, symbol

MEAN, VARIANCE = np.array([1.0, -2.0, 0.5]), np.array([4.0, 0.25, 1.0])
SCALE, SHIFT = np.array([1.0, 2.0, -1.0]), np.array([0.0, 3.0, 0.25])


def _by_definition(x: Any) -> Any:
    per_channel = (1, 3, *(1,) * (x.ndim - 2))
    mean, variance, scale, shift = (
        each.reshape(per_channel) for each in (MEAN, VARIANCE, SCALE, SHIFT)
    )
    return (x - mean) / np.sqrt(variance + 0.01) * scale + shift


def _norm(x: Any, mean: Any, variance: Any, scale: Any, shift: Any) -> ops.BatchNorm:
    return ops.BatchNorm(x, mean, variance, scale, shift, 0.01)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3, 2), (1, 3, 2, 2), (1, 3, 1, 2, 1)])
def test_constant_statistics(shape: tuple[int, ...]) -> None:
    x = np.linspace(-2, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    parameters = [each.astype(np.float32) for each in (MEAN, VARIANCE, SCALE, SHIFT)]
    result = computed(_norm, x, *parameters)
    np.testing.assert_allclose(result, _by_definition(x), atol=2e-5)


def test_statistics_that_are_computed() -> None:
    x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(1, 3, 2, 2)

    def make(*values: Any) -> ops.BatchNorm:
        graph = values[0].graph
        moved = [graph.add(ops.Neg(graph.add(ops.Neg(value)))) for value in values[1:]]
        return _norm(values[0], *moved)

    parameters = [each.astype(np.float32) for each in (MEAN, VARIANCE, SCALE, SHIFT)]
    np.testing.assert_allclose(computed(make, x, *parameters), _by_definition(x), atol=5e-5)


def test_four_axes_are_one_scale_layer_that_convolutions_take_in() -> None:
    kind = TensorType(DType.FLOAT32, (2, 3, 4, 4))
    parameters = [each.astype(np.float32) for each in (MEAN, VARIANCE, SCALE, SHIFT)]
    graph, _ = graph_of(_norm, kind, *parameters)
    with network(graph) as ctx:
        [layer] = layers(ctx, "IScaleLayer")
        assert layer.channel_axis == 1
        np.testing.assert_allclose(layer.scale, SCALE / np.sqrt(VARIANCE + 0.01), rtol=1e-6)


def test_layer_normalization_names_its_axes_and_epsilon() -> None:
    kind = TensorType(DType.FLOAT32, (2, 3, 4))
    graph, _ = graph_of(lambda x: ops.LayerNorm(x, None, None, 2, 1e-6), kind)
    with network(graph) as ctx:
        [layer] = layers(ctx, "INormalizationLayer")
        assert layer.axes == 0b110
        assert layer.epsilon == pytest.approx(1e-6)
        assert tuple(layer.get_input(1).shape) == (1, 3, 4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("INormalizationLayer", lambda x: ops.LayerNorm(x, None, None, 1, 1e-5)),
        ("ISoftMaxLayer", lambda x: ops.Softmax(x, 1)),
    ],
)
def test_statistics_of_halves_are_computed_in_float32(kind: str, make: Any, dtype: str) -> None:
    graph, (result,) = graph_of(make, TensorType(DType.of(dtype), (2, 3)))
    with network(graph) as ctx:
        [layer] = layers(ctx, kind)
        assert layer.get_input(0).dtype.name == "FLOAT"
        assert ctx[result].dtype.name == ctx.computed(DType.of(dtype))


@pytest.mark.parametrize("bare", [False, True])
def test_normalized_axes_of_unknown_size(bare: bool) -> None:
    n = symbol("n", 2, 4, 8)
    kind = TensorType(DType.FLOAT32, (2, n))
    parameter = TensorType(DType.FLOAT32, (n,))
    operands = [kind] if bare else [kind, parameter]
    graph, (result,) = graph_of(
        lambda x, *p: ops.LayerNorm(x, p[0] if p else None, None, 1, 1e-5), *operands
    )
    with network(graph) as ctx:
        assert tuple(ctx[result].shape) == (2, -1)
    build(graph)


def test_the_composed_normalization() -> None:
    x = np.array([[1.0, 2.0, 4.0, 5.0]], np.float32)

    graph, (result,) = graph_of(lambda x: ops.Neg(x), x)
    with network(graph) as ctx:
        found = numbers(ctx, _normalized(ctx, ctx[result], (1,), 1e-5, 2))
    wanted = -(x - x.mean()) / np.sqrt(x.var() + 1e-5)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize("axis", [0, 2])
def test_softmax_names_its_axis(axis: int) -> None:
    graph, _ = graph_of(lambda x: ops.Softmax(x, axis), TensorType(DType.FLOAT32, (2, 3, 4)))
    with network(graph) as ctx:
        [layer] = layers(ctx, "ISoftMaxLayer")
        assert layer.axes == 1 << axis
