"""Tensors made from sizes and numbers, computed by TensorRT while it makes a network."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, computed, network, read

from fwd_core.errors import BuildError
from fwd_core.ir import DType, Graph, Tensor, TensorType, Value, ops, symbol

BATCH = symbol("batch", 1, 2, 4)


def _graph(op: object) -> tuple[Graph, Value]:
    graph = Graph()
    graph.add_input("x", TensorType(DType.FLOAT32, (3, BATCH)))
    result = graph.add(op)  # type: ignore[arg-type]
    graph.set_outputs([result], ["y"])
    return graph, result


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (2, 3), (0, 2)])
def test_full(shape: tuple[int, ...], dtype: str) -> None:
    value = True if dtype == "bool" else 3
    result = computed(lambda: ops.Full(shape, value, DType.of(dtype)))
    np.testing.assert_array_equal(result, np.full(shape, value, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "int8"])
def test_steps_of_a_known_length(dtype: str) -> None:
    result = computed(lambda: ops.Arange(5, 7, -3, DType.of(dtype)))
    np.testing.assert_array_equal(result, np.arange(7, -8, -3).astype(dtype))


def test_steps_of_fractions() -> None:
    result = computed(lambda: ops.Arange(3, 0.5, 0.25, DType.FLOAT32))
    np.testing.assert_array_equal(result, [0.5, 0.75, 1.0])


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
def test_constants_hold_every_type(features: object) -> None:
    for dtype in DType:
        tensor = Tensor(np.array([[0, 1], [1, 100]])).astype(dtype)
        graph = Graph()
        value = graph.constant(tensor)
        graph.set_outputs([value], ["y"])
        result = read(graph, value, features)  # type: ignore[arg-type]
        np.testing.assert_array_equal(result, tensor.numpy())


def test_integers_beyond_a_flavour_are_refused() -> None:
    graph = Graph()
    value = graph.constant(np.array([1, 2**40]))
    graph.set_outputs([value], ["y"])
    with pytest.raises(BuildError, match=r"does not fit int32(.|\n)*got: +1 … 1099511627776"):
        read(graph, value, LIKE_8)


def test_empty_constants() -> None:
    graph = Graph()
    value = graph.constant(np.zeros((0, 3), np.float32))
    graph.set_outputs([value], ["y"])
    with network(graph) as ctx:
        assert tuple(ctx[value].shape) == (0, 3)


@pytest.mark.parametrize(
    "op",
    [
        ops.DimValue(BATCH * 2),
        ops.DimValue(BATCH // 3, DType.INT32),
        ops.Full((BATCH, 3), 1.5, DType.FLOAT16),
        ops.Arange(BATCH + 1, 1, 2),
        ops.Arange(BATCH, 0.5, 0.25, DType.FLOAT16),
        ops.Arange(4, BATCH, -1, DType.INT32),
    ],
    ids=repr,
)
def test_sizes_that_are_known_when_the_engine_runs(op: object) -> None:
    graph, result = _graph(op)
    with network(graph) as ctx:
        assert ctx[result].dtype.name == ctx.computed(result.type.dtype)
        wanted = tuple(dim if isinstance(dim, int) else -1 for dim in result.type.shape)
        assert tuple(ctx[result].shape) == wanted


def test_a_size_that_no_input_has_is_refused() -> None:
    graph, _ = _graph(ops.DimValue(symbol("other", 1, 2, 4)))
    with pytest.raises(BuildError, match=r"size 'other' is not the size of an axis of any input"):
        network(graph).__enter__()
