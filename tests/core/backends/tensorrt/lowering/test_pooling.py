"""Pooling: what TensorRT computes while it makes a network, and the padding it is told of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import computed, graph_of, layers, network

from fwd_core.backends.tensorrt.lowering.pooling import parts_matrix
from fwd_core.errors import BuildError
from fwd_core.ir import DType, TensorType, ops, symbol


def _max_pool(x: Any, k: int, s: int, p: int, d: int, ceil: bool) -> Any:
    """Windows of [1, 1, L] by the definition."""
    length, reach = x.shape[-1], (k - 1) * d + 1
    count = (length + 2 * p - reach + (s - 1 if ceil else 0)) // s + 1
    if ceil and (count - 1) * s >= length + p:
        count -= 1
    windows = []
    for i in range(count):
        places = [i * s - p + j * d for j in range(k)]
        windows.append(max(x[0, 0, place] for place in places if 0 <= place < length))
    return np.array(windows, x.dtype).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("k", "s", "p", "d", "ceil"),
    [(3, 2, 1, 2, False), (2, 3, 1, 2, True), (3, 1, 0, 2, False), (2, 4, 1, 3, True)],
)
def test_windows_with_holes(k: int, s: int, p: int, d: int, ceil: bool) -> None:
    # Other types are padded with another number, which TensorRT does not do on the host.
    x = np.array([3, 1, 4, 1, 5, 9, 2, 6], np.uint8).reshape(1, 1, -1)
    result = computed(lambda x: ops.MaxPool(x, (k,), (s,), (p,), (d,), ceil), x)
    np.testing.assert_array_equal(result, _max_pool(x, k, s, p, d, ceil))


@pytest.mark.parametrize("dtype", ["int64", "float32", "int8"])
def test_two_axes_with_holes(dtype: str) -> None:
    x = (np.arange(36) % 11 - 20).astype(dtype).reshape(1, 1, 6, 6)
    result = computed(lambda x: ops.MaxPool(x, (2, 2), (1, 2), (0, 0), (2, 3)), x)
    wanted = np.array(
        [
            [
                max(x[0, 0, i + a, 2 * j + b] for a in (0, 2) for b in (0, 3))
                for j in range(result.shape[3])
            ]
            for i in range(result.shape[2])
        ]
    )
    np.testing.assert_array_equal(result[0, 0], wanted)


@pytest.mark.parametrize(("shape", "size"), [((6, 4), (3, 2)), ((7, 5), (3, 2)), ((5, 4), (1, 3))])
def test_adaptive_parts(shape: tuple[int, int], size: tuple[int, int]) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(1, 1, *shape)
    result = computed(lambda x: ops.AdaptiveAveragePool(x, size), x)
    rows, columns = (parts_matrix(n, k) for n, k in zip(shape, size, strict=True))
    np.testing.assert_allclose(result[0, 0], rows @ x[0, 0] @ columns.T, atol=2e-5)


def test_parts_overlap_where_they_do_not_divide() -> None:
    np.testing.assert_allclose(
        parts_matrix(5, 3),
        [[1 / 2, 1 / 2, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1 / 2, 1 / 2]],
    )


@pytest.mark.parametrize(
    ("attributes", "before", "after", "excluded"),
    [
        (((3,), (2,), (1,), False, True), 1, 1, False),
        (((3,), (2,), (1,), False, False), 1, 1, True),
        (((3,), (2,), (0,), True, True), 0, 1, True),
        (((3,), (2,), (1,), True, False), 1, 2, True),
        (((3,), (2,), (1,), True, True), 0, 1, True),  # of an input that holds the padding
    ],
    ids=["counted", "uncounted", "ceil", "ceil uncounted", "ceil counted"],
)
def test_the_divisor_counts_what_torch_counts(
    attributes: Any, before: int, after: int, excluded: bool
) -> None:
    kind = TensorType(DType.FLOAT32, (1, 1, 6))
    graph, _ = graph_of(lambda x: ops.AveragePool(x, *attributes), kind)
    with network(graph) as ctx:
        [pooling] = layers(ctx, "IPoolingLayer")
        assert pooling.pre_padding[-1] == before
        assert pooling.post_padding[-1] == after
        assert pooling.average_count_excludes_padding is excluded


def test_dynamic_sizes_that_cannot_be_divided_are_refused() -> None:
    kind = TensorType(DType.FLOAT32, (1, 1, symbol("n", 4, 6, 8)))
    graph, _ = graph_of(lambda x: ops.AdaptiveAveragePool(x, (3,)), kind)
    with pytest.raises(BuildError, match=r"a dynamic size \(n\) cannot be divided into 3 parts"):
        network(graph).__enter__()


def test_open_last_windows_of_averages_are_refused() -> None:
    kind = TensorType(DType.FLOAT32, (1, 1, symbol("n", 4, 6, 8)))
    graph, _ = graph_of(lambda x: ops.AveragePool(x, (3,), (2,), (0,), True), kind)
    with pytest.raises(BuildError, match=r"how far the last windows of ceil_mode run over"):
        network(graph).__enter__()


def test_open_last_windows_of_maxima_are_not() -> None:
    kind = TensorType(DType.FLOAT32, (1, 1, symbol("n", 4, 6, 8)))
    graph, (result,) = graph_of(lambda x: ops.MaxPool(x, (3,), (2,), (1,), (1,), True), kind)
    with network(graph) as ctx:
        assert tuple(ctx[result].shape) == (1, 1, -1)
