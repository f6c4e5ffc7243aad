"""Types of operators that sort and accumulate, and what they decompose to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from values import B, H, kind, value

from fwd_core import Builder
from fwd_core.errors import GraphError
from fwd_core.ir import DType, Emitter, Graph, Operator, TensorType, Value, ops


def test_topk() -> None:
    x = value(B, 5, H)
    found = (kind(B, 2, H), kind(B, 2, H, dtype="int64"))
    assert ops.TopK(x, 2, 1).infer() == found
    assert ops.TopK(x, B, 0, largest=False, stable=True).infer()[0] == kind(B, 5, H)
    assert ops.TopK(value(3, dtype="int64"), 0, 0).infer()[0] == kind(0, dtype="int64")
    with pytest.raises(GraphError, match="fwd.TopK: more elements than there are\n.*at most 5\n"):
        ops.TopK(x, 6, 1).infer()
    with pytest.raises(GraphError, match="fwd.TopK: a size is negative"):
        ops.TopK(x, -1, 1).infer()
    with pytest.raises(GraphError, match="fwd.TopK: no such axis"):
        ops.TopK(x, 1, 3).infer()
    with pytest.raises(GraphError, match="fwd.TopK: element type not taken"):
        ops.TopK(value(3, dtype="bool"), 1, 0).infer()


def test_cumsum() -> None:
    assert ops.CumSum(value(B, 3), 0).infer() == kind(B, 3)
    with pytest.raises(GraphError, match="fwd.CumSum: no such axis"):
        ops.CumSum(value(B, 3), 2).infer()
    with pytest.raises(GraphError, match="fwd.CumSum: element type not taken"):
        ops.CumSum(value(3, dtype="bool"), 0).infer()


def decomposed(make: Any, x: NDArray[Any]) -> list[NDArray[Any]]:
    """What OpenVINO computes of an operator's decomposition."""
    graph = Graph("decomposed")
    given = graph.add_input("x", TensorType(DType.of(str(x.dtype)), x.shape))
    op: Operator = make(given)
    made = op.decompose(Emitter(graph, base="op"))
    assert made is not None
    results = (made,) if isinstance(made, Value) else made
    graph.set_outputs(results, [f"y{index}" for index in range(len(results))])
    with Builder(backend="openvino").compile(graph.verify()) as engine:
        return [np.asarray(one) for one in engine.run_list([x])]


TIES = np.array([[2, 1, 2, 0], [1, 1, 1, 1], [-3, 5, 5, 7]])


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(("axis", "k"), [(1, 1), (1, 3), (0, 1), (0, 3)])
def test_topk_decomposes_to_comparisons(dtype: str, largest: bool, axis: int, k: int) -> None:
    pytest.importorskip("openvino")
    x = TIES.astype(dtype)
    values, places = decomposed(lambda v: ops.TopK(v, k, axis, largest), x)
    order = np.argsort(-x if largest else x, axis=axis, kind="stable")
    wanted = order[:k] if axis == 0 else order[:, :k]
    np.testing.assert_array_equal(places, wanted)
    np.testing.assert_array_equal(values, np.take_along_axis(x, wanted, axis))


@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("largest", [True, False])
def test_topk_decomposes_with_nan_above_every_number(largest: bool, k: int) -> None:
    pytest.importorskip("openvino")
    x = np.array([2.0, np.nan, -np.inf, np.nan, np.inf], np.float32)
    wanted = ([1, 3, 4, 0, 2] if largest else [2, 0, 4, 1, 3])[:k]
    values, places = decomposed(lambda v: ops.TopK(v, k, 0, largest), x)
    np.testing.assert_array_equal(places, wanted)
    np.testing.assert_array_equal(values, x[wanted])


@pytest.mark.parametrize("axis", [0, 1])
def test_cumsum_decomposes_to_masked_sums(axis: int) -> None:
    pytest.importorskip("openvino")
    x = np.array([[1.0, -np.inf, 3.0], [4.0, 5.0, 6.0]], np.float32)
    (sums,) = decomposed(lambda v: ops.CumSum(v, axis), x)
    np.testing.assert_array_equal(sums, np.cumsum(x, axis))


def test_group_norm() -> None:
    x, scale = value(B, 4, H), value(4)
    assert ops.GroupNorm(x, scale, None, 2, 1e-5).infer() == kind(B, 4, H)
    with pytest.raises(GraphError, match="fwd.GroupNorm: groups do not divide the channels"):
        ops.GroupNorm(x, None, None, 3, 1e-5).infer()
    with pytest.raises(GraphError, match="fwd.GroupNorm: x needs rank 2 or more"):
        ops.GroupNorm(value(4), None, None, 2, 1e-5).infer()
    with pytest.raises(GraphError, match="fwd.GroupNorm: sizes differ"):
        ops.GroupNorm(x, value(3), None, 2, 1e-5).infer()
    with pytest.raises(GraphError, match="fwd.GroupNorm: 1 or more"):
        ops.GroupNorm(x, None, None, 0, 1e-5).infer()
