"""Reductions, computed by TensorRT while it makes a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import computed, graph_of, network

from fwd_core.ir import DType, TensorType, ops

NUMBERS = [
    (ops.ReduceSum, np.sum),
    (ops.ReduceProd, np.prod),
    (ops.ReduceMax, np.max),
    (ops.ReduceMin, np.min),
]
AXES = [((1,), False), ((0, 2), True), ((0, 1, 2), False), ((2,), True)]


@pytest.mark.parametrize(("axes", "keep"), AXES)
@pytest.mark.parametrize("dtype", ["float32", "int64", "int32"])
@pytest.mark.parametrize(("operator", "expected"), NUMBERS)
def test_numbers(operator: Any, expected: Any, dtype: str, axes: Any, keep: bool) -> None:
    x = (np.arange(12).reshape(2, 3, 2) % 5 - 1).astype(dtype)
    if dtype == "float32" and operator in (ops.ReduceMax, ops.ReduceMin):
        # Which elements are NaN is asked with a choice, computed beforehand of one axis only.
        x, axes = x[:, 1, 0], (0,)
    result = computed(lambda x: operator(x, axes, keep), x)
    np.testing.assert_array_equal(result, expected(x, axis=axes, keepdims=keep))


def test_means() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    result = computed(lambda x: ops.ReduceMean(x, (0, 2)), x)
    np.testing.assert_allclose(result, x.mean((0, 2)), atol=2e-5)


def test_sums_of_narrow_integers_wrap() -> None:
    x = np.full(6, 100, np.uint8)
    assert computed(lambda x: ops.ReduceSum(x, (0,)), x) == 600 % 256


@pytest.mark.parametrize(
    ("operator", "expected"), [(ops.ReduceAny, np.any), (ops.ReduceAll, np.all)]
)
def test_bools(operator: Any, expected: Any) -> None:
    x = np.array([[True, False, False], [True, True, True], [False, False, False]])
    np.testing.assert_array_equal(computed(lambda x: operator(x, (1,)), x), expected(x, axis=1))


@pytest.mark.parametrize("operator", [ops.ReduceSum, ops.ReduceMax, ops.ReduceAny])
def test_no_axes_is_no_layer(operator: Any) -> None:
    dtype = DType.BOOL if operator is ops.ReduceAny else DType.FLOAT32
    graph, (result,) = graph_of(lambda x: operator(x, ()), TensorType(dtype, (2,)))
    with network(graph) as ctx:
        assert ctx[result] is ctx[graph.inputs[0]]


def test_halves_are_summed_in_float32() -> None:
    x = np.full(4, 60000, np.float16)  # their sum is no half, but their mean is
    assert computed(lambda x: ops.ReduceMean(x, (0,)), x) == 60000
