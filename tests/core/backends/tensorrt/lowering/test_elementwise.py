"""What TensorRT computes element by element, read from its own folding of constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, computed, graph_of, network

from fwd_core.errors import BuildError
from fwd_core.ir import DType, TensorType, ops

X = np.array([-3.5, -2.0, -1.0, -0.3, -0.0, 0.0, 0.4, 1.0, 1.7, 2.5, 3.0, 8.0])
#: One step of float16 at 32 and below is 2**-6 at most; float32's steps are below the 2**-16 in
#: which results are read, except that TensorRT's erf and pow are accurate to some 1e-6.
TOLERANCE = {"float32": 2e-5, "float16": 2e-2}


INTEGERS = ["int64", "int32", "int16", "int8", "uint8"]
NUMBERS = np.array([0, 1, 2, 5, 7, 100, 127, -1, -2, -7, -100, -128])
INTEGER_UNARY: list[tuple[str, Callable[..., Any], Callable[..., Any]]] = [
    ("relu", ops.Relu, lambda x: np.maximum(x, x.dtype.type(0))),
    ("abs", ops.Abs, np.abs),
    ("neg", ops.Neg, np.negative),
    ("sign", ops.Sign, np.sign),
    ("clamp", lambda x: ops.Clamp(x, 1.5, 6.5), lambda x: np.clip(x, 2, 6)),
    ("clamp-far", lambda x: ops.Clamp(x, -1e9, 1e9), lambda x: x),
    ("clamp-open", lambda x: ops.Clamp(x, float("-inf"), 3), lambda x: np.minimum(x, 3)),
]


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    ("make", "expected"), [u[1:] for u in INTEGER_UNARY], ids=[u[0] for u in INTEGER_UNARY]
)
def test_functions_of_integers(make: Any, expected: Any, dtype: str, features: Any) -> None:
    x = NUMBERS.astype(dtype)
    if dtype in ("int64", "int32") and make is not INTEGER_UNARY[5][1]:
        x = x * 1000
    np.testing.assert_array_equal(computed(make, x, features=features), expected(x))


def _trunc_div(a: Any, b: Any) -> Any:
    return np.trunc(a / b).astype(a.dtype) if a.dtype.kind == "f" else _whole(a, b)


def _whole(a: Any, b: Any) -> Any:
    wide_a, wide_b = a.astype(np.int64), b.astype(np.int64)
    return (np.sign(wide_a) * np.sign(wide_b) * (abs(wide_a) // abs(wide_b))).astype(a.dtype)


BINARY: list[tuple[str, Any, Callable[..., Any]]] = [
    ("add", ops.Add, np.add),
    ("sub", ops.Sub, np.subtract),
    ("mul", ops.Mul, np.multiply),
    ("maximum", ops.Maximum, np.maximum),
    ("minimum", ops.Minimum, np.minimum),
    ("floor-div", ops.FloorDiv, np.floor_divide),
    ("trunc-div", ops.TruncDiv, _trunc_div),
    ("mod", ops.Mod, np.mod),
]
_IDS = [each[0] for each in BINARY]
_PAIRS = [each[1:] for each in BINARY]
DIVISORS = np.array([3, -3, 2, 7, -7, 100, -1])


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(("operator", "expected"), _PAIRS, ids=_IDS)
def test_integers_divide_as_declared_and_wrap(
    operator: Any, expected: Any, dtype: str, features: Any
) -> None:
    a, b = NUMBERS[:, None].astype(dtype), DIVISORS[None, :4].astype(dtype)
    with np.errstate(over="ignore"):
        wanted = expected(a, b)
    np.testing.assert_array_equal(computed(operator, a, b, features=features), wanted)


@pytest.mark.parametrize("dtype", ["int64", "int8"])
def test_the_quotient_of_the_least_integer_and_minus_one_wraps(dtype: str) -> None:
    a = np.array([-128, 127], np.int8).astype(dtype)
    result = computed(ops.FloorDiv, a, np.array([-1, -1], dtype))
    np.testing.assert_array_equal(result, np.array([128, -127]).astype(dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("operator", "expected"), [*_PAIRS, (ops.Div, np.divide)], ids=[*_IDS, "div"]
)
def test_functions_of_two_floats(operator: Any, expected: Any, dtype: str) -> None:
    a, b = X.astype(dtype)[:, None], np.array([2.0, -0.5, 1.5], dtype)
    result = computed(operator, a, b)
    wanted = expected(a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose(result, wanted, atol=TOLERANCE[dtype])


def test_powers() -> None:
    a = np.array([-3.0, 0.5, 2.0], np.float32)[:, None]
    b = np.array([2.0, 3.0, -1.0], np.float32)
    np.testing.assert_allclose(computed(ops.Pow, a, b), a**b, rtol=1e-5, atol=2e-5)
    whole = np.array([2, -3, 5])
    np.testing.assert_array_equal(computed(ops.Pow, whole, np.array([3, 3, 2])), [8, -27, 25])


def test_powers_of_integers_are_refused_where_there_are_none() -> None:
    graph, _ = graph_of(ops.Pow, np.array([2]), np.array([3]))
    with pytest.raises(BuildError, match=r"raises floats to a power, not integers"):
        network(graph, LIKE_8).__enter__()


COMPARISONS: list[tuple[Any, Callable[..., Any]]] = [
    (ops.Equal, np.equal),
    (ops.NotEqual, np.not_equal),
    (ops.Less, np.less),
    (ops.LessEqual, np.less_equal),
    (ops.Greater, np.greater),
    (ops.GreaterEqual, np.greater_equal),
]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize(
    ("operator", "expected"), COMPARISONS, ids=[each[0].__name__ for each in COMPARISONS]
)
def test_comparisons(operator: Any, expected: Any, dtype: str) -> None:
    a, b = np.array([[0], [1], [3]]).astype(dtype), np.array([0, 1, 2]).astype(dtype)
    np.testing.assert_array_equal(computed(operator, a, b), expected(a, b))


@pytest.mark.parametrize(
    ("operator", "expected"), COMPARISONS, ids=[each[0].__name__ for each in COMPARISONS]
)
def test_nan_differs_from_everything_and_has_no_order(operator: Any, expected: Any) -> None:
    a = np.array([[np.nan], [1.0], [np.inf]], np.float32)
    b = np.array([np.nan, 1.0, np.inf], np.float32)
    np.testing.assert_array_equal(computed(operator, a, b), expected(a, b))


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_differs_from_itself_is_nan(dtype: str, features: Any) -> None:
    x = np.array([np.nan, 1.0, np.inf, -np.inf, 0.0], dtype)
    result = computed(lambda x: ops.NotEqual(x, x), x, features=features)
    np.testing.assert_array_equal(result, np.isnan(x))


def test_truth_values() -> None:
    a, b = np.array([[False], [True]]), np.array([False, True])
    np.testing.assert_array_equal(computed(ops.And, a, b), a & b)
    np.testing.assert_array_equal(computed(ops.Or, a, b), a | b)
    np.testing.assert_array_equal(computed(ops.Xor, a, b), a ^ b)
    np.testing.assert_array_equal(computed(ops.Not, b), ~b)


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_where_takes_the_first_where_the_condition_holds(dtype: str) -> None:
    condition = np.array([True, False, True])  # selections of one axis are computed on the host
    a, b = np.array([3, 0, 1]).astype(dtype), np.array(1).astype(dtype)
    result = computed(ops.Where, condition, a, b)
    np.testing.assert_array_equal(result, np.where(condition, a, b))


CASTS = ["float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def _whole_first(x: Any, target: str) -> Any:
    return x if target.startswith("float") else x.astype(np.int64)


@pytest.mark.parametrize("target", CASTS)
@pytest.mark.parametrize("source", CASTS)
def test_casts_truncate_and_wrap(source: str, target: str) -> None:
    fractions = np.array([0.0, 0.5, -0.5, 1.0, 2.75, -2.75, 100.0])
    numbers = np.array([0, 1, -1, 100, 127, 200, 300, 70000, -70000])
    if target == "float16":
        numbers = numbers[:7]  # what becomes infinite cannot be read
    x = fractions.astype(source) if source.startswith("float") else numbers.astype(source)
    result = computed(lambda x: ops.Cast(x, DType.of(target)), x)
    with np.errstate(over="ignore"):
        # What a float that does not fit becomes is undefined in C: as an integer it wraps here.
        wanted = x.astype(target) if target == "bool" else _whole_first(x, target).astype(target)
    np.testing.assert_array_equal(result, wanted)


def test_bfloat16_is_computed_in_its_own_precision() -> None:
    x = np.array([1.0, 1.0 + 2**-9, 3.0], np.float32)
    result = computed(lambda x: ops.Cast(x, DType.BFLOAT16), x)
    np.testing.assert_array_equal(result, [1.0, 1.0, 3.0])


def test_types_that_a_flavour_lacks_are_computed_in_the_next() -> None:
    kinds = [TensorType(DType.of(name), (2,)) for name in ("int64", "bfloat16", "float64")]
    for kind, held in zip(kinds, ("INT32", "FLOAT", "FLOAT"), strict=True):
        graph, (result,) = graph_of(lambda x: ops.Add(x, x), kind)
        with network(graph, LIKE_8) as ctx:
            assert ctx[result].dtype.name == held
