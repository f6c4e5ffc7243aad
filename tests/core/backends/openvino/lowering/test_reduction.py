"""Reductions against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from machine import MODES
from on_openvino import Array, assert_same, build, dynamic_types, graph_of, run, static_types

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops, symbol
from fwd_core.ir.ops.reduction import Reduction

pytest.importorskip("openvino")

FLOAT: list[tuple[type[Reduction], Callable[..., Any]]] = [
    (ops.ReduceSum, np.sum),
    (ops.ReduceMean, np.mean),
    (ops.ReduceMax, np.max),
    (ops.ReduceMin, np.min),
    (ops.ReduceProd, np.prod),
]
INTEGER = [pair for pair in FLOAT if pair[0] is not ops.ReduceMean]
BOOL: list[tuple[type[Reduction], Callable[..., Any]]] = [
    (ops.ReduceAny, np.any),
    (ops.ReduceAll, np.all),
]


@st.composite
def shapes_and_axes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=5))
    axes = draw(st.lists(st.sampled_from(range(len(shape))), unique=True)) if shape else []
    return shape, tuple(axes)


@given(
    where=shapes_and_axes(),
    pair=st.sampled_from([*FLOAT, *BOOL]),
    keepdims=st.booleans(),
    dynamic=st.booleans(),
)
def test_floats_and_bools(
    where: tuple[tuple[int, ...], tuple[int, ...]],
    pair: tuple[type[Reduction], Callable[..., Any]],
    keepdims: bool,
    dynamic: bool,
) -> None:
    (shape, axes), (operator, reference) = where, pair
    x: Array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if pair in BOOL:
        x = x > 0.5 if operator is ops.ReduceAny else x < 0.5
    (got,) = run(
        lambda graph, x: graph.add(operator(x, axes, keepdims)),
        x,
        types=dynamic_types([x]) if dynamic else None,
    )
    assert_same(got, reference(x, axis=axes, keepdims=keepdims), rtol=1e-5, atol=1e-5)


@given(
    where=shapes_and_axes(),
    pair=st.sampled_from(INTEGER),
    dtype=st.sampled_from([np.int64, np.int32, np.int16, np.int8, np.uint8]),
    keepdims=st.booleans(),
    dynamic=st.booleans(),
)
def test_integers_are_exact_and_wrap(
    where: tuple[tuple[int, ...], tuple[int, ...]],
    pair: tuple[type[Reduction], Callable[..., Any]],
    dtype: type[np.generic],
    keepdims: bool,
    dynamic: bool,
) -> None:
    (shape, axes), (operator, reference) = where, pair
    rng = np.random.default_rng(0)
    x = rng.integers(-(2**31), 2**31, shape).astype(dtype)
    if dtype is np.int64:  # results must fit in 32 bits there
        x = x % 3 if operator is ops.ReduceProd else x // 2**10
    exact = reference(x.astype(np.int64), axis=axes, keepdims=keepdims)
    expected = np.asarray(exact).astype(dtype)
    if dtype is np.int64:
        expected = expected.astype(np.int32).astype(np.int64)
    (got,) = run(
        lambda graph, x: graph.add(operator(x, axes, keepdims)),
        x,
        types=dynamic_types([x]) if dynamic else None,
    )
    assert_same(got, expected)


@pytest.mark.parametrize("mode", MODES)
def test_long_sum_of_integers(mode: str) -> None:
    x = np.random.default_rng(0).integers(-(2**20), 2**20, (3, 1000)).astype(np.int32)
    (got,) = run(lambda graph, x: graph.add(ops.ReduceSum(x, (1,))), x, mode=mode)
    assert_same(got, x.sum(1, dtype=np.int32))


def test_extrema_keep_a_nan() -> None:
    x = np.array([[1, np.nan, 3], [4, 5, 6], [np.nan, 0, 1]], np.float32)
    for keepdims in (False, True):
        got = run(
            lambda graph, x, keepdims=keepdims: [
                graph.add(ops.ReduceMax(x, (1,), keepdims)),
                graph.add(ops.ReduceMin(x, (1,), keepdims)),
            ],
            x,
        )
        assert_same(got[0], x.max(1, keepdims=keepdims))
        assert_same(got[1], x.min(1, keepdims=keepdims))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("operator", "reference", "dtype"),
    [
        (ops.ReduceSum, np.sum, np.float32),
        (ops.ReduceSum, np.sum, np.int32),
        (ops.ReduceProd, np.prod, np.float32),
        (ops.ReduceProd, np.prod, np.int32),
        (ops.ReduceAny, np.any, np.bool_),
        (ops.ReduceAll, np.all, np.bool_),
    ],
)
def test_nothing_to_reduce(
    operator: type[Reduction],
    reference: Callable[..., Any],
    dtype: type[np.generic],
    dynamic: bool,
) -> None:
    x = np.zeros((2, 0), dtype)
    (got,) = run(
        lambda graph, x: graph.add(operator(x, (1,))),
        x,
        types=dynamic_types([x]) if dynamic else None,
    )
    assert_same(got, reference(x, axis=1).astype(dtype))


@pytest.mark.parametrize(("reduction", "expected"), FLOAT)
@pytest.mark.parametrize("times", [False, True], ids=["alone", "matmul"])
def test_another_shape_after_the_first_axis(
    reduction: type[Reduction], expected: Callable[..., Any], times: bool
) -> None:
    """OpenVINO takes a reshape to [1, …] for the first axis put back."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 4)).astype(np.float32), np.eye(12, dtype=np.float32)

    def make(graph: Graph, x: Value) -> Value:
        flat = graph.add(ops.Reshape(graph.add(reduction(x, (0,))), (1, 12)))
        return graph.add(ops.MatMul(flat, graph.constant(weight))) if times else flat

    (got,) = run(make, x)
    assert_same(got, expected(x, axis=0).reshape(1, 12), rtol=1e-6)


@pytest.mark.parametrize("keepdims", [False, True])
def test_the_mean_of_an_axis_that_may_be_empty(keepdims: bool) -> None:
    """OpenVINO says 0, NumPy and torch say NaN."""

    def make(graph: Graph, x: Value) -> Value:
        return graph.add(ops.ReduceMean(x, (0,), keepdims))

    types = [TensorType(DType.FLOAT32, (symbol("rows", 0, 2, 4), 3))]
    for rows in (0, 1, 4):
        x = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
        (got,) = run(make, x, types=types)
        expected = x.mean(0, keepdims=keepdims) if rows else np.full((1, 3)[not keepdims :], np.nan)
        assert_same(got, expected.astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("rows", [4, symbol("rows", 1, 4, 8)], ids=["static", "dynamic"])
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2)], ids=str)
@pytest.mark.parametrize("function", FLOAT, ids=lambda pair: pair[0].__name__)
def test_constants_after_three_axes(
    function: tuple[type[Reduction], Callable[..., Any]],
    axes: tuple[int, ...],
    keepdims: bool,
    rows: Dim,
) -> None:
    """Each axis that is left has its own factors and addends."""
    op, reference = function
    numbers = np.random.default_rng(0)
    x = numbers.standard_normal((4, 16, 6)).astype(np.float32)
    exact = reference(x.astype(np.float64), axis=axes, keepdims=keepdims)
    for shape in _vectors(exact):
        if rows != 4 and 4 in shape:
            continue
        factors = numbers.standard_normal(shape).astype(np.float32)

        def make(graph: Graph, value: Value, factors: Array = factors) -> Value:
            made = graph.add(ops.Mul(graph.add(op(value, axes, keepdims)), graph.constant(factors)))
            return graph.add(ops.Add(made, graph.constant(factors)))

        (found,) = run(make, x, types=[TensorType(DType.FLOAT32, (rows, 16, 6))])
        wanted = (exact * factors + factors).astype(np.float32)
        assert_same(found, wanted, rtol=1e-5, atol=1e-5)


def _vectors(array: Array) -> list[tuple[int, ...]]:
    axes = range(array.ndim)
    return [tuple(array.shape[i] if i == axis else 1 for i in axes) for axis in axes]


@pytest.mark.parametrize("square", [ops.Mul, ops.Pow])
def test_root_mean_square_is_one_kernel(square: type[ops.Mul] | type[ops.Pow]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 16, 64)).astype(np.float32)
    gain = np.linspace(-1, 1, 64, dtype=np.float32)

    def make(graph: Graph, value: Value) -> Value:
        two = graph.constant(np.float32(2))
        squares = graph.add(square(value, value if square is ops.Mul else two))
        mean = graph.add(ops.ReduceMean(squares, (2,), True))
        shifted = graph.add(ops.Add(mean, graph.constant(np.float32(1e-6))))
        made = graph.add(ops.Div(value, graph.add(ops.Sqrt(shifted))))
        return graph.add(ops.Mul(made, graph.constant(gain)))

    engine = build(graph_of(make, static_types([x])))
    nodes = engine.plan.compiled.get_runtime_model().get_ordered_ops()  # type: ignore[attr-defined]
    assert "RMS" in [node.get_rt_info()["layerType"].astype(str) for node in nodes]
    wanted = x / np.sqrt((x * x).mean(2, keepdims=True) + 1e-6) * gain
    assert_same(engine.run_list([x])[0], wanted, rtol=1e-5, atol=1e-6)


def test_scale_along_the_middle_after_a_root_of_means() -> None:
    """What looks like the start of such a norm, but is not divided."""
    x = np.random.default_rng(0).standard_normal((4, 16, 6)).astype(np.float32)
    gain = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]

    def make(graph: Graph, value: Value) -> Value:
        squares = graph.add(ops.Mul(value, value))
        mean = graph.add(ops.ReduceMean(squares, (2,), True))
        return graph.add(ops.Mul(graph.add(ops.Sqrt(mean)), graph.constant(gain)))

    assert_same(run(make, x)[0], np.sqrt((x * x).mean(2, keepdims=True)) * gain, rtol=1e-5)
