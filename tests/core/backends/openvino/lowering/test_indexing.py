"""Operators that pick elements, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from on_openvino import Array, assert_same, dynamic_types, run

from fwd_core.ir import Graph, Value, ops

pytest.importorskip("openvino")

DTYPES = st.sampled_from([np.float32, np.int64, np.int32, np.uint8, np.bool_])
INDICES = st.sampled_from([np.int64, np.int32])


def numbers(dtype: type[np.generic], *shape: int) -> Array:
    return (np.arange(int(np.prod(shape))).reshape(shape) * 7 + 2**24 + 1).astype(dtype)


@given(data=st.data(), dtype=DTYPES, index=INDICES, dynamic=st.booleans())
def test_gather(
    data: st.DataObject, dtype: type[np.generic], index: type[np.generic], dynamic: bool
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    picked = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=4))
    rng = np.random.default_rng(0)
    x = numbers(dtype, *shape)
    indices = rng.integers(-shape[axis], shape[axis], picked).astype(index)
    (got,) = run(
        lambda graph, x, i: graph.add(ops.Gather(x, i, axis)),
        x,
        indices,
        types=dynamic_types([x, indices]) if dynamic else None,
    )
    assert_same(got, np.take(x, indices, axis))


def test_embedding() -> None:
    table = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32)
    ids = np.array([[3, 0, 10], [1, 1, 7]])

    def make(graph: Graph, ids: Value) -> Value:
        return graph.add(ops.Gather(graph.constant(table), ids, 0))

    assert_same(run(make, ids)[0], table[ids])


@given(data=st.data(), dtype=DTYPES, index=INDICES, dynamic=st.booleans())
def test_gather_elements(
    data: st.DataObject, dtype: type[np.generic], index: type[np.generic], dynamic: bool
) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    picked = tuple(
        data.draw(st.integers(1, 5 if one == axis else size)) for one, size in enumerate(shape)
    )
    x = numbers(dtype, *shape)
    indices = np.random.default_rng(0).integers(0, shape[axis], picked).astype(index)
    whole = tuple(slice(None) if i == axis else slice(0, n) for i, n in enumerate(picked))
    types = None
    if dynamic:  # sizes of indices are fixed: a smaller one is another symbol
        types = dynamic_types([x, indices])
        types[1] = types[1].with_shape(picked)
        types[0] = types[0].with_shape(
            have if one == axis else size
            for one, (have, size) in enumerate(zip(types[0].shape, shape, strict=True))
        )
    (got,) = run(
        lambda graph, x, i: graph.add(ops.GatherElements(x, i, axis)), x, indices, types=types
    )
    assert_same(got, np.take_along_axis(x[whole], indices.astype(np.int64), axis))


@given(
    batch=st.integers(0, 2),
    coordinates=st.integers(1, 2),
    outer=st.lists(st.integers(1, 3), max_size=2),
    dtype=DTYPES,
    index=INDICES,
    dynamic=st.booleans(),
)
def test_gather_nd(
    batch: int,
    coordinates: int,
    outer: list[int],
    dtype: type[np.generic],
    index: type[np.generic],
    dynamic: bool,
) -> None:
    shape = (2, 3, 4, 5)
    x = numbers(dtype, *shape)
    lead = (*shape[:batch], *outer)
    rng = np.random.default_rng(0)
    parts = [
        rng.integers(0, size, lead).astype(index) for size in shape[batch : batch + coordinates]
    ]
    indices = np.stack(parts, -1)
    grid = np.meshgrid(*(np.arange(n) for n in lead), indexing="ij", sparse=True)[:batch]
    place = (*grid, *parts)
    expected = x[place]
    types = None
    if dynamic:
        types = dynamic_types([x, indices])
        types[1] = types[1].with_shape((*types[1].shape[:-1], coordinates))
    (got,) = run(lambda graph, x, i: graph.add(ops.GatherND(x, i, batch)), x, indices, types=types)
    assert_same(got, expected)
