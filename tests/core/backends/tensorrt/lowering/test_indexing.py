"""Elements picked by index, computed by TensorRT while it makes a network."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, computed, network, read

from fwd_core.backends.tensorrt.features import Features
from fwd_core.ir import DType, Graph, TensorType, ops, symbol

TABLE = np.arange(10, 22).reshape(4, 3)
NEGATIVE = np.array([0, -1, 2, -4])


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("data", ["float32", "int64", "bool", "uint8"])
def test_constant_indices_count_from_both_ends(
    data: str, dtype: str, features: Features | None
) -> None:
    x = TABLE.astype(data)
    result = computed(
        lambda x, i: ops.Gather(x, i, 0), x, NEGATIVE.astype(dtype), features=features
    )
    np.testing.assert_array_equal(result, x[NEGATIVE])


def test_computed_indices_count_from_both_ends() -> None:
    graph = Graph()
    x, indices = graph.constant(TABLE), graph.constant(NEGATIVE)
    moved = graph.add(ops.Add(indices, graph.constant(np.array(0))))
    result = graph.add(ops.Gather(x, moved, 0))
    graph.set_outputs([result], ["y"])
    np.testing.assert_array_equal(read(graph, result), TABLE[NEGATIVE])


def test_indices_of_any_rank_take_the_place_of_the_axis() -> None:
    indices = np.array([[0, 2], [1, 1]])
    result = computed(lambda x, i: ops.Gather(x, i, 1), TABLE, indices)
    np.testing.assert_array_equal(result, np.take(TABLE, indices, 1))
    result = computed(lambda x, i: ops.Gather(x, i, 1), TABLE, np.array(2))
    np.testing.assert_array_equal(result, TABLE[:, 2])


def test_an_index_into_an_axis_of_unknown_size_counts_from_its_end() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (symbol("n", 1, 4, 8), 3)))
    result = graph.add(ops.Gather(x, graph.constant(np.array([-1])), 0))
    graph.set_outputs([result], ["y"])
    with network(graph) as ctx:
        assert tuple(ctx[result].shape) == (1, 3)


def test_one_element_per_index() -> None:
    indices = np.array([[3, 0], [1, 1]])
    result = computed(lambda x, i: ops.GatherElements(x, i, 0), TABLE, indices)
    np.testing.assert_array_equal(result, np.take_along_axis(TABLE[:, :2], indices, 0))


def test_slices_by_coordinates() -> None:
    result = computed(ops.GatherND, TABLE, np.array([[3, 0], [1, 2]]))
    np.testing.assert_array_equal(result, TABLE[[3, 1], [0, 2]])
    result = computed(ops.GatherND, TABLE, np.array([[3], [1]]))
    np.testing.assert_array_equal(result, TABLE[[3, 1]])
    result = computed(lambda x, i: ops.GatherND(x, i, 1), TABLE, np.array([[0], [2], [1], [1]]))
    np.testing.assert_array_equal(result, TABLE[range(4), [0, 2, 1, 1]])
