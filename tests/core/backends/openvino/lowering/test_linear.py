"""Matrix products against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import MODES
from on_openvino import Array, assert_same, dynamic_types, run

from fwd_core.ir import Graph, Value, ops

pytest.importorskip("openvino")

#: Sums of up to 8 products of normal numbers, in whatever order.
ATOL = 1e-5


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(
    lead=st.sampled_from([((), ()), ((3,), (3,)), ((2, 1), (4,)), ((), (2, 3)), ((2, 3), ())]),
    n=st.integers(0, 5),
    k=st.integers(1, 8),
    m=st.integers(1, 5),
    transposed=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from([np.float32, np.int32, np.int64, np.uint8]),
    dynamic=st.booleans(),
)
def test_matmul(
    lead: tuple[tuple[int, ...], tuple[int, ...]],
    n: int,
    k: int,
    m: int,
    transposed: tuple[bool, bool],
    dtype: type[np.generic],
    dynamic: bool,
) -> None:
    scale = 1 if dtype is np.float32 else 100
    a = (scale * normal(0, *lead[0], n, k)).astype(np.int32).astype(dtype)
    b = (scale * normal(1, *lead[1], k, m)).astype(np.int32).astype(dtype)
    expected = np.matmul(a, b)
    a = np.ascontiguousarray(a.swapaxes(-1, -2)) if transposed[0] else a
    b = np.ascontiguousarray(b.swapaxes(-1, -2)) if transposed[1] else b
    (got,) = run(
        lambda graph, a, b: graph.add(ops.MatMul(a, b, *transposed)),
        a,
        b,
        types=dynamic_types([a, b]) if dynamic else None,
    )
    assert_same(got, expected, atol=ATOL if dtype is np.float32 else 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.int8])
def test_matmul_of_large_integers_is_exact(dtype: type[np.integer[Any]], mode: str) -> None:
    rng = np.random.default_rng(0)
    top = min(int(np.iinfo(dtype).max), 10_000)
    a, b = (rng.integers(-top, top, shape).astype(dtype) for shape in ((3, 20), (20, 4)))
    (got,) = run(lambda graph, a, b: graph.add(ops.MatMul(a, b)), a, b, mode=mode)
    assert_same(got, a @ b)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("dynamic", [True, False])
def test_linear(lead: tuple[int, ...], bias: bool, constant: bool, dynamic: bool) -> None:
    x, weight, shift = normal(0, *lead, 8), normal(1, 5, 8), normal(2, 5)
    arrays = [x] if constant else [x, weight, shift]

    def make(graph: Graph, x: Value, *rest: Value) -> Value:
        w, b = rest or (graph.constant(weight), graph.constant(shift))
        return graph.add(ops.Linear(x, w, b if bias else None))

    types = dynamic_types(arrays) if dynamic else None
    if types is not None and not constant:  # sizes of the weights are fixed in any model
        types[1:] = [kind.with_shape(a.shape) for kind, a in zip(types, arrays, strict=True)][1:]
    if types is not None:
        types[0] = types[0].with_shape((*types[0].shape[:-1], 8))
    (got,) = run(make, *arrays, types=types)
    assert_same(got, x @ weight.T + (shift if bias else 0), atol=ATOL)
