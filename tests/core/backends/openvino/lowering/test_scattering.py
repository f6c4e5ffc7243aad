"""Operators that put elements, against NumPy, and their decompositions against them."""

from __future__ import annotations

import numpy as np
import pytest
from on_openvino import assert_same, run

from fwd_core.ir import Emitter, Graph, Value, ops

pytest.importorskip("openvino")

FUNCTIONS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, np.uint8])
@pytest.mark.parametrize("combination", ["none", *FUNCTIONS])
def test_scatter_elements(combination: str, dtype: type[np.generic], decomposed: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (4, 3)).astype(dtype)
    index = np.array([[0, 3], [2, 1]]) if combination == "none" else np.array([[0, 3], [0, 3]])
    updates = rng.integers(0, 100, (2, 2)).astype(dtype)

    def make(graph: Graph, x: Value, index: Value, updates: Value) -> Value:
        op = ops.ScatterElements(x, index, updates, 0, combination)  # type: ignore[arg-type]
        return op.decompose(Emitter(graph, base="scatter")) if decomposed else graph.add(op)

    wanted = x.copy()
    for place in np.ndindex(2, 2):
        at = (index[place], place[1])
        new = updates[place]
        wanted[at] = new if combination == "none" else FUNCTIONS[combination](wanted[at], new)
    assert_same(run(make, x, index, updates)[0], wanted)


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("combination", ["none", "sum"])
def test_scatter_nd(combination: str, decomposed: bool) -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    index = np.array([[0, 1], [1, 3]])
    updates = np.array([[1, 2, 3], [4, 5, 6]], np.float32)

    def make(graph: Graph, x: Value, index: Value, updates: Value) -> Value:
        op = ops.ScatterND(x, index, updates, combination)  # type: ignore[arg-type]
        return op.decompose(Emitter(graph, base="scatter")) if decomposed else graph.add(op)

    wanted = x.copy()
    for place, new in zip(map(tuple, index), updates, strict=True):
        wanted[place] = new + (wanted[place] if combination == "sum" else 0)
    assert_same(run(make, x, index, updates)[0], wanted)
