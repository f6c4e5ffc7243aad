"""Normalizations and softmax against torch."""

from __future__ import annotations

import numpy as np
import pytest
from on_openvino import Array, assert_same, dynamic_types, run

from fwd_core.ir import Graph, Value, ops

pytest.importorskip("openvino")
torch = pytest.importorskip("torch")

F = torch.nn.functional
ATOL = 1e-5


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("affine", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("spatial", [(), (5,), (4, 5), (2, 3, 4)])
def test_batch_norm(spatial: tuple[int, ...], affine: tuple[bool, bool], dynamic: bool) -> None:
    x = normal(0, 2, 6, *spatial)
    mean, variance, scale, shift = normal(1, 6), np.abs(normal(2, 6)), normal(3, 6), normal(4, 6)
    use_scale, use_shift = affine

    def make(graph: Graph, x: Value) -> Value:
        constants = [graph.constant(one) for one in (mean, variance, scale, shift)]
        return graph.add(
            ops.BatchNorm(
                x,
                constants[0],
                constants[1],
                constants[2] if use_scale else None,
                constants[3] if use_shift else None,
                1e-3,
            )
        )

    types = dynamic_types([x]) if dynamic else None
    if types is not None:
        types[0] = types[0].with_shape(
            6 if axis == 1 else dim for axis, dim in enumerate(types[0].shape)
        )
    (got,) = run(make, x, types=types)
    tensors = [torch.from_numpy(one) for one in (x, mean, variance)]
    expected = F.batch_norm(
        *tensors,
        torch.from_numpy(scale) if use_scale else None,
        torch.from_numpy(shift) if use_shift else None,
        eps=1e-3,
    )
    assert_same(got, expected.numpy(), atol=ATOL)


def test_batch_norm_with_parameters_that_are_inputs() -> None:
    x, mean, variance = normal(0, 2, 6, 4), normal(1, 6), np.abs(normal(2, 6))
    (got,) = run(
        lambda graph, x, mean, variance: graph.add(
            ops.BatchNorm(x, mean, variance, variance, mean, 1e-5)
        ),
        x,
        mean,
        variance,
    )
    tensors = [torch.from_numpy(one) for one in (x, mean, variance, variance, mean)]
    assert_same(got, F.batch_norm(*tensors).numpy(), atol=ATOL)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("affine", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(
    ("shape", "axes"), [((7,), 1), ((3, 8), 1), ((2, 3, 8), 2), ((2, 3, 5, 4), 3)]
)
def test_layer_norm(
    shape: tuple[int, ...], axes: int, affine: tuple[bool, bool], dynamic: bool
) -> None:
    x, inner = normal(0, *shape), shape[len(shape) - axes :]
    scale = normal(1, *inner) if affine[0] else None
    shift = normal(2, *inner) if affine[1] else None

    def make(graph: Graph, x: Value) -> Value:
        parameters = [None if one is None else graph.constant(one) for one in (scale, shift)]
        return graph.add(ops.LayerNorm(x, parameters[0], parameters[1], axes, 1e-5))

    types = dynamic_types([x]) if dynamic else None
    if types is not None:
        outer = types[0].shape[: len(shape) - axes]
        types[0] = types[0].with_shape((*outer, *inner))
    (got,) = run(make, x, types=types)
    tensors = [None if one is None else torch.from_numpy(one) for one in (scale, shift)]
    assert_same(got, F.layer_norm(torch.from_numpy(x), inner, *tensors).numpy(), atol=ATOL)


def test_layer_norm_of_large_and_of_equal_numbers() -> None:
    x = np.stack([normal(0, 64) + 1000, np.full(64, 3.0, np.float32)])
    (got,) = run(lambda graph, x: graph.add(ops.LayerNorm(x, None, None, 1, 1e-5)), x)
    # The numbers themselves are given to 6e-5 only, so that their differences are too.
    assert_same(got, F.layer_norm(torch.from_numpy(x), (64,)).numpy(), atol=3e-4)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis"), [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4, 5), 1), ((2, 1, 4), 1)]
)
def test_softmax(shape: tuple[int, ...], axis: int, dynamic: bool) -> None:
    x = 50 * normal(0, *shape)
    (got,) = run(
        lambda graph, x: graph.add(ops.Softmax(x, axis)),
        x,
        types=dynamic_types([x]) if dynamic else None,
    )
    assert_same(got, F.softmax(torch.from_numpy(x), axis).numpy(), atol=1e-6)


def test_softmax_of_infinities() -> None:
    x = np.array([[-np.inf, 1, 2], [-np.inf, -np.inf, -np.inf], [3e38, -3e38, 0]], np.float32)
    (got,) = run(lambda graph, x: graph.add(ops.Softmax(x, 1)), x)
    assert_same(got, F.softmax(torch.from_numpy(x), 1).numpy(), atol=1e-6)
