"""Sizes as TensorRT computes them, and the forms that reshapes and slices take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from dims import SYMBOLS, Drawn, sizes, values
from hypothesis import given
from tensorrt_networks import LIKE_8, LIKE_10, graph_of, layers, network, numbers

from fwd_core.backends.tensorrt.context import TensorRTLowering
from fwd_core.backends.tensorrt.features import Features
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.ir import Dim, DType, Graph, TensorType, ops, symbol

N, M = symbol("n", 1, 2, 4), symbol("m", 1, 3, 9)


def _size(dim: Dim, at: Mapping[str, int]) -> int:
    """A size where the input of the graph has these sizes, as TensorRT computes it."""
    library = load("tensorrt_rtx")
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, tuple(SYMBOLS.values())))
    with listen(library.trt) as record:
        builder = library.trt.Builder(logger(library.trt))
        made = builder.create_network(1)
        builder.error_recorder = made.error_recorder = record.recorder
        ctx = TensorRTLowering(graph, library, made, record)
        shape = tuple(at[name] for name in SYMBOLS)
        ctx.sizes.inputs[x] = made.add_input("x", library.trt.float32, shape)
        return int(numbers(ctx, ctx.sizes[dim]).item())


@given(sizes(), values())
def test_sizes_are_what_integers_give(drawn: Drawn, at: dict[str, int]) -> None:
    try:
        expected = drawn.of(at)
    except ZeroDivisionError:
        return
    assert _size(drawn.dim, at) == expected


@pytest.mark.parametrize("factors", [(4,), (4, 2), (6, 1)])
def test_a_symbol_is_read_from_its_multiples(factors: tuple[int, ...]) -> None:
    library = load("tensorrt_rtx")
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, tuple(N * factor for factor in factors)))
    with listen(library.trt) as record:
        builder = library.trt.Builder(logger(library.trt))
        made = builder.create_network(1)
        builder.error_recorder = made.error_recorder = record.recorder
        ctx = TensorRTLowering(graph, library, made, record)
        shape = tuple(3 * factor for factor in factors)
        ctx.sizes.inputs[x] = made.add_input("x", library.trt.float32, shape)
        assert int(numbers(ctx, ctx.sizes[N + 5]).item()) == 8


def test_each_size_is_computed_once() -> None:
    kind = TensorType(DType.FLOAT32, (N, M))
    graph, (x,) = graph_of(lambda x: ops.Reshape(x, (M, N)), kind)
    for _ in range(3):
        x = graph.add(ops.Reshape(graph.add(ops.Relu(x)), (N, M)))
        x = graph.add(ops.Reshape(graph.add(ops.Relu(x)), (M, N)))
    graph.set_outputs([x], ["y"])
    with network(graph) as ctx:
        assert len(layers(ctx, "IShapeLayer")) == 2  # one per symbol


def _reshape(shape: tuple[Dim, ...], new: tuple[Dim, ...], features: Any = None) -> tuple[Any, int]:
    """The written dims of the shuffle layer, and how many inputs it has."""
    graph, _ = graph_of(lambda x: ops.Reshape(x, new), TensorType(DType.FLOAT32, shape))
    with network(graph, features) as ctx:
        [shuffle] = layers(ctx, "IShuffleLayer")
        dims = tuple(shuffle.reshape_dims) if shuffle.num_inputs == 1 else None
        return dims, shuffle.num_inputs


@pytest.mark.parametrize(
    ("shape", "new", "written"),
    [
        ((2, 6), (3, 4), (3, 4)),
        ((N, 6), (N, 2, 3), (0, 2, 3)),
        ((N, 4, M), (N, 2, M, 2), (0, 2, 0, 2)),
        ((N, 4), (N * 2, 2), (-1, 2)),
        ((N, M, 8), (N, M, 2, 4), (0, 0, 2, 4)),
        ((N, M, 2, 4), (N, M, 8), (0, 0, 8)),
    ],
)
def test_reshapes_that_placeholders_say(shape: Any, new: Any, written: Any) -> None:
    assert _reshape(shape, new) == (written, 1)


@pytest.mark.parametrize(("shape", "new"), [((N, M), (M, N)), ((N, 0), (0, N))])
def test_reshapes_that_need_sizes(shape: Any, new: Any) -> None:
    assert _reshape(shape, new) == (None, 2)


@pytest.mark.parametrize(("features", "kind"), [(None, "UNSQUEEZE"), (LIKE_10, "SHUFFLE")])
def test_axes_between_unknown_sizes(features: Features | None, kind: str) -> None:
    graph, (result,) = graph_of(lambda x: ops.Unsqueeze(x, (1,)), TensorType(DType.BOOL, (N, M)))
    with network(graph, features) as ctx:
        kinds = [ctx.network.get_layer(i).type.name for i in range(ctx.network.num_layers)]
        assert kind in kinds
        assert tuple(ctx[result].shape) == (-1, 1, -1)


@pytest.mark.parametrize(("features", "axes"), [(None, 1), (LIKE_10, 3), (LIKE_8, 3)])
def test_slices_name_their_axes_where_they_can(features: Features | None, axes: int) -> None:
    kind = TensorType(DType.FLOAT32, (3, 4, 5))
    graph, _ = graph_of(lambda x: ops.Slice(x, 2, 1, 2), kind)
    with network(graph, features) as ctx:
        [cut] = layers(ctx, "ISliceLayer")
        assert len(cut.start) == axes
        assert cut.start[-1] == 1


def test_slices_of_unknown_sizes_without_axes() -> None:
    kind = TensorType(DType.FLOAT32, (N, 4, 5))
    graph, (result,) = graph_of(lambda x: ops.Slice(x, 2, 1, 2), kind)
    with network(graph, LIKE_10) as ctx:
        assert tuple(ctx[result].shape) == (-1, 4, 2)


def test_shapes_are_constants_where_all_is_known() -> None:
    graph, _ = graph_of(ops.Relu, TensorType(DType.FLOAT32, (2,)))
    with network(graph) as ctx:
        np.testing.assert_array_equal(numbers(ctx, ctx.sizes.shape((2, 3))), [2, 3])
        assert layers(ctx, "IShapeLayer") == []
