"""Elementwise lowerings against NumPy, and torch where NumPy lacks the function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from machine import MODES
from on_openvino import Array, assert_same, bfloat16, dynamic_types, run

from fwd_core.errors import BuildError
from fwd_core.ir import DType, Graph, Tensor, TensorType, Value, ops
from fwd_core.ir.ops.elementwise import NumberBinary, NumberUnary

pytest.importorskip("openvino")
torch = pytest.importorskip("torch")

NAN, INF = math.nan, math.inf
NUMBERS = np.random.default_rng(0).normal(0, 3, 1000)
#: Ordinary magnitudes first, then what often goes wrong.
FLOATS = np.concatenate(
    [NUMBERS, [0.0, -0.0, 0.5, -0.5, 2.5, -2.5, 60.0, -60.0, INF, -INF, NAN]]
).astype(np.float32)
#: OpenVINO's vector functions are polynomials; torch's differ from the true value as much.
RTOL, ATOL = 5e-6, 4e-7


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (2, 1, 3)])
def test_shapes_of_no_and_one_element(shape: tuple[int, ...]) -> None:
    x = np.full(shape, -2.5, np.float32)
    got = run(lambda graph, x: [graph.add(ops.Abs(x)), graph.add(ops.Add(x, x))], x)
    assert_same(got[0], np.abs(x))
    assert_same(got[1], x + x)


def test_relu_and_clamp_of_numbers() -> None:
    x = FLOATS[~np.isnan(FLOATS)]
    got = run(
        lambda graph, x: [
            graph.add(ops.Relu(x)),
            graph.add(ops.Clamp(x, 0.0, 6.0)),
            graph.add(ops.Clamp(x, minimum=-0.25)),
            graph.add(ops.Clamp(x, maximum=0.25)),
            graph.add(ops.Clamp(x, 3.0, 1.0)),  # torch: the upper bound wins
            graph.add(ops.Clamp(x)),
        ],
        x,
    )
    bounds = [(0, None), (0, 6), (-0.25, None), (None, 0.25)]
    for one, (low, high) in zip(got, bounds, strict=False):
        assert_same(one, np.clip(x, low, high))
    assert_same(got[4], np.full_like(x, 1.0))
    assert_same(got[5], x)


INTEGERS = [np.int64, np.int32, np.int16, np.int8, np.uint8]


def extremes(dtype: type[np.integer[Any]]) -> tuple[Array, Array]:
    """Pairs of integers: the limits, beyond 2^24 where it fits, and many random ones."""
    rng = np.random.default_rng(2)
    info = np.iinfo(np.int32 if dtype is np.int64 else dtype)
    edges = [info.min, info.min + 1, -7, -2, -1, 0, 1, 2, 7, 2**24 + 1, info.max - 1, info.max]
    edges = sorted({edge for edge in edges if info.min <= edge <= info.max})
    pairs = np.array([(a, b) for a in edges for b in edges], np.int64)
    more = rng.integers(info.min, info.max, (500, 2), endpoint=True)
    near = np.stack(
        [more[:, 0], np.clip(more[:, 0] + rng.integers(-2, 3, 500), info.min, info.max)]
    )
    table = np.concatenate([pairs, more, near.T])
    if dtype is np.int64:  # results must fit in 32 bits there, so operands are smaller
        table //= 2**16
    return table[:, 0].astype(dtype), table[:, 1].astype(dtype)


INTEGER_BINARY: list[tuple[type[Any], Callable[[Array, Array], Array]]] = [
    (ops.Add, np.add),
    (ops.Sub, np.subtract),
    (ops.Mul, np.multiply),
    (ops.Maximum, np.maximum),
    (ops.Minimum, np.minimum),
    (ops.Equal, np.equal),
    (ops.NotEqual, np.not_equal),
    (ops.Less, np.less),
    (ops.LessEqual, np.less_equal),
    (ops.Greater, np.greater),
    (ops.GreaterEqual, np.greater_equal),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(("operator", "reference"), INTEGER_BINARY)
def test_integer_binary(
    operator: type[NumberBinary],
    reference: Callable[[Array, Array], Array],
    dtype: type[np.integer[Any]],
    mode: str,
) -> None:
    a, b = extremes(dtype)
    with np.errstate(all="ignore"):
        expected = reference(a, b)
    (got,) = run(lambda graph, a, b: graph.add(operator(a, b)), a, b, mode=mode)
    assert_same(got, expected)


@pytest.mark.parametrize("constant", [0, 5, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integer_comparison_with_a_constant(dtype: type[np.integer[Any]], constant: int) -> None:
    near = constant + np.arange(-3, 4)
    x = np.clip(np.concatenate([near, [0, -5]]), -(2**31), 2**31 - 1).astype(dtype)
    comparisons = INTEGER_BINARY[5:]

    def make(graph: Graph, x: Value) -> list[Value]:
        known = graph.constant(np.array(constant, dtype))
        return [graph.add(operator(x, known)) for operator, _ in comparisons]

    for got, (_, reference) in zip(run(make, x), comparisons, strict=True):
        assert_same(got, reference(x, np.array(constant, dtype)))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division(dtype: type[np.integer[Any]], dynamic: bool) -> None:
    a, b = extremes(dtype)
    keep = (b != 0) & ~((a == -(2**31)) & (b == -1))  # undefined, and a trap in NumPy and torch
    a, b = a[keep], b[keep]
    with np.errstate(all="ignore"):
        floor, rest = np.floor_divide(a, b), np.mod(a, b)
        toward_zero = torch.div(torch.from_numpy(a), torch.from_numpy(b), rounding_mode="trunc")
    got = run(
        lambda graph, a, b: [
            graph.add(ops.FloorDiv(a, b)),
            graph.add(ops.Mod(a, b)),
            graph.add(ops.TruncDiv(a, b)),
        ],
        a,
        b,
        types=dynamic_types([a, b]) if dynamic else None,
    )
    assert_same(got[0], floor)
    assert_same(got[1], rest)
    assert_same(got[2], toward_zero.numpy())


@pytest.mark.parametrize("divisor", [1, 2, 3, -5, 2**24 + 1, 2**31 - 1, -(2**31)])
def test_division_by_a_constant(divisor: int) -> None:
    a, _ = extremes(np.int32)

    def make(graph: Graph, a: Value) -> list[Value]:
        b = graph.constant(np.array(divisor, np.int32))
        return [graph.add(ops.FloorDiv(a, b)), graph.add(ops.Mod(a, b))]

    got = run(make, a)
    assert_same(got[0], a // np.int32(divisor))
    assert_same(got[1], np.mod(a, np.int32(divisor)))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_unary(dtype: type[np.integer[Any]]) -> None:
    x, _ = extremes(dtype)
    unary: list[type[NumberUnary]] = [ops.Abs, ops.Neg, ops.Sign, ops.Relu]
    got = run(lambda graph, x: [graph.add(one(x)) for one in unary], x)
    with np.errstate(all="ignore"):
        expected = [np.abs(x), np.negative(x), np.sign(x), np.maximum(x, 0)]
    for one, wanted in zip(got, expected, strict=True):
        assert_same(one, wanted)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    ("low", "high"), [(-2, 20), (None, 5), (3, None), (2**24 + 1, None), (-1e30, 1e30), (7, 2)]
)
def test_integer_clamp(dtype: type[np.integer[Any]], low: float | None, high: float | None) -> None:
    x, _ = extremes(dtype)
    info = np.iinfo(dtype)
    (got,) = run(lambda graph, x: graph.add(ops.Clamp(x, low, high)), x)
    expected = x.astype(np.float64)
    if low is not None:
        expected = np.maximum(expected, max(low, info.min))
    if high is not None:
        expected = np.minimum(expected, min(high, info.max))
    if low is None or low <= info.max:
        assert_same(got, expected.astype(dtype))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integer_power(dtype: type[np.generic]) -> None:
    base = np.array([[0, 1, -1, 2, -3, 7, 46341]]).T.astype(dtype)
    exponent = np.array([0, 1, 2, 3, 5, 10, 31], dtype)
    with np.errstate(all="ignore"):
        expected = base**exponent
    if dtype is np.int64:  # computed in 32 bits
        expected = expected.astype(np.int32).astype(np.int64)
    got = run(
        lambda graph, a, b: [
            graph.add(ops.Pow(a, b)),
            *(graph.add(ops.Pow(a, graph.constant(np.array(n, dtype)))) for n in exponent.tolist()),
        ],
        base,
        exponent,
    )
    assert_same(got[0], expected)
    for column, one in enumerate(got[1:]):
        assert_same(one, expected[:, column : column + 1])


@pytest.mark.parametrize("dtype", [np.float32, *INTEGERS, np.bool_])
def test_where(dtype: type[np.generic]) -> None:
    a, b = extremes(np.int32)
    with np.errstate(all="ignore"):
        a, b = a.astype(dtype), b.astype(dtype)
    condition = np.array([[True], [False], [True]])
    (got,) = run(lambda graph, c, a, b: graph.add(ops.Where(c, a, b)), condition, a, b)
    assert_same(got, np.where(condition, a, b))


def test_where_after_arithmetic_stays_exact() -> None:
    a, b = extremes(np.int32)

    def make(graph: Graph, a: Value, b: Value) -> Value:
        total, product = graph.add(ops.Add(a, b)), graph.add(ops.Mul(a, b))
        return graph.add(ops.Where(graph.add(ops.Less(a, b)), total, product))

    (got,) = run(make, a, b)
    with np.errstate(all="ignore"):
        assert_same(got, np.where(a < b, a + b, a * b))


def pairs_of_floats() -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    special = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.1, INF, -INF, NAN]
    table = np.array([(a, b) for a in special for b in special])
    scale = 10.0 ** rng.integers(-3, 4, (3000, 2))
    tenths = rng.integers(-50, 50, (500, 2)) * np.array([1.0, 0.1])
    table = np.concatenate([table, rng.normal(0, 1, (3000, 2)) * scale, tenths]).astype(np.float32)
    return table[:, 0].copy(), table[:, 1].copy()


FLOAT_BINARY: list[tuple[type[Any], Callable[[Any, Any], Any], float]] = [
    (ops.Add, torch.add, 0.0),
    (ops.Sub, torch.sub, 0.0),
    (ops.Mul, torch.mul, 0.0),
    (ops.Div, torch.div, 2**-22),  # OpenVINO's division is a unit in the last place off
    (ops.Maximum, torch.maximum, 0.0),
    (ops.Minimum, torch.minimum, 0.0),
    (ops.Equal, torch.eq, 0.0),
    (ops.NotEqual, torch.ne, 0.0),
    (ops.Less, torch.lt, 0.0),
    (ops.LessEqual, torch.le, 0.0),
    (ops.Greater, torch.gt, 0.0),
    (ops.GreaterEqual, torch.ge, 0.0),
    (ops.TruncDiv, lambda a, b: torch.div(a, b, rounding_mode="trunc"), 0.0),
    (ops.FloorDiv, torch.floor_divide, 0.0),
    (ops.Mod, torch.remainder, 0.0),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("operator", "reference", "rtol"), FLOAT_BINARY)
def test_float_binary(
    operator: type[NumberBinary], reference: Callable[[Any, Any], Any], rtol: float, dynamic: bool
) -> None:
    a, b = pairs_of_floats()
    with np.errstate(all="ignore"):
        ratio = np.abs(a / b)
    if operator in (ops.FloorDiv, ops.Mod):  # torch's own quotients are off by one above this
        keep = ~np.isfinite(ratio) | (ratio < 2**22)
        a, b = a[keep], b[keep]
    (got,) = run(
        lambda graph, a, b: graph.add(operator(a, b)),
        a,
        b,
        types=dynamic_types([a, b]) if dynamic else None,
    )
    assert_same(got, reference(torch.from_numpy(a), torch.from_numpy(b)).numpy(), rtol=rtol)


def test_float_power() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.01, 9, 500).astype(np.float32), rng.normal(0, 3, 500).astype(np.float32)
    whole = rng.integers(-4, 5, 500).astype(np.float32)
    got = run(
        lambda graph, a, b, c: [
            graph.add(ops.Pow(a, b)),
            graph.add(ops.Pow(graph.add(ops.Neg(a)), c)),
        ],
        a,
        b,
        whole,
    )
    # exp(b * log(a)) of numbers up to e^20 loses as many units in the last place.
    assert_same(got[0], a**b, rtol=2e-6)
    assert_same(got[1], (-a) ** whole, rtol=2e-6)


def test_nan_of_a_constant_operand() -> None:
    x = np.array([1.0, NAN, 3.0], np.float32)

    def make(graph: Graph, x: Value) -> list[Value]:
        two = graph.constant(np.array(2.0, np.float32))
        nan = graph.constant(np.array(NAN, np.float32))
        return [graph.add(ops.Maximum(x, two)), graph.add(ops.Minimum(nan, x))]

    got = run(make, x)
    assert_same(got[0], np.array([2.0, NAN, 3.0], np.float32))
    assert_same(got[1], np.full(3, NAN, np.float32))


def test_bools() -> None:
    a, b = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    binary: list[tuple[type[Any], Callable[[Array, Array], Array]]] = [
        (ops.And, np.logical_and),
        (ops.Or, np.logical_or),
        (ops.Xor, np.logical_xor),
        (ops.Equal, np.equal),
        (ops.NotEqual, np.not_equal),
        (ops.Less, np.less),
        (ops.LessEqual, np.less_equal),
        (ops.Greater, np.greater),
        (ops.GreaterEqual, np.greater_equal),
    ]
    got = run(
        lambda graph, a, b: [
            *(graph.add(operator(a, b)) for operator, _ in binary),
            graph.add(ops.Not(a)),
        ],
        a,
        b.T.copy(),
    )
    for one, (_, reference) in zip(got, binary, strict=False):
        assert_same(one, reference(a, b.T))
    assert_same(got[-1], ~a)


NUMPY_TYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.filterwarnings("ignore:.*float64 and compute in float32")
@pytest.mark.parametrize("target", NUMPY_TYPES)
@pytest.mark.parametrize("source", NUMPY_TYPES)
def test_cast(source: str, target: str) -> None:
    values = np.array([0, 0.25, 1, 1.75, 2, 100.5, 127, 200, 255, 1000, 65000, 70000, 2**24])
    if source not in ("uint8", "bool"):
        values = np.concatenate([values, -values])
    into = np.dtype(target)
    if np.dtype(source).kind == "f" and into.kind == "u":
        values = np.abs(values)  # a negative float to unsigned is undefined in C
    if np.dtype(source).kind == "f" and into.kind in "iu" and into.itemsize < 4:
        values = np.clip(values, np.iinfo(into).min, np.iinfo(into).max)
    if "float16" in (source, target):
        values = values[np.abs(values) < 65000]
    with np.errstate(all="ignore"):
        x = values.astype(source)
        expected = x.astype(target)
    (got,) = run(lambda graph, x: graph.add(ops.Cast(x, DType.of(target))), x)
    assert_same(got, expected)


def test_cast_wraps_and_comes_back() -> None:
    x = np.array([300, -129, 70000, -32769, 5], np.int32)

    def make(graph: Graph, x: Value) -> list[Value]:
        narrow = [graph.add(ops.Cast(x, dtype)) for dtype in (DType.INT8, DType.UINT8, DType.INT16)]
        return [graph.add(ops.Cast(one, DType.INT32)) for one in narrow]

    got = run(make, x)
    for one, dtype in zip(got, (np.int8, np.uint8, np.int16), strict=True):
        assert_same(one, x.astype(dtype).astype(np.int32))


def test_cast_of_nan_to_bool_is_true() -> None:
    (got,) = run(
        lambda graph, x: graph.add(ops.Cast(x, DType.BOOL)), np.array([NAN, 0, -0.0], np.float32)
    )
    assert_same(got, np.array([True, False, False]))


@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
def test_half_types_of_the_model(dtype: DType) -> None:
    x = Tensor(NUMBERS[:20].reshape(4, 5).astype(np.float32)).astype(dtype)
    weight = Tensor(NUMBERS[20:25].astype(np.float32)).astype(dtype)

    def make(graph: Graph, x: Value) -> list[Value]:
        y = graph.add(ops.Mul(x, graph.constant(weight)))
        return [graph.add(ops.Tanh(y)), graph.add(ops.Cast(y, DType.FLOAT32)), x]

    got = run(make, x)
    product = x.numpy().astype(np.float32) * weight.numpy().astype(np.float32)
    # Computed in float32 and rounded once, to the model's type.
    wanted = Tensor(np.tanh(product)).astype(dtype)
    close = Tensor(got[0], dtype).numpy().astype(np.float32)
    np.testing.assert_allclose(close, wanted.numpy().astype(np.float32), rtol=2**-8)
    assert_same(got[1], product, rtol=1e-6)
    assert_same(got[2], x.data)


def test_abs_of_a_concat_leaves_its_other_readers_alone() -> None:
    a, b = np.array([0.5, -1], np.float32), np.array([-2.0, NAN], np.float32)

    def make(graph: Graph, a: Value, b: Value) -> list[Value]:
        inner = graph.add(ops.Concat((a, b), 0))
        outer = graph.add(ops.Concat((inner, b), 0))
        return [graph.add(ops.Abs(outer)), outer, graph.add(ops.Neg(inner))]

    got = run(make, a, b)
    joined = np.concatenate([a, b, b])
    assert_same(got[0], np.abs(joined))
    assert_same(got[1], joined)
    assert_same(got[2], -joined[:4])


def test_bfloat16_is_rounded_to_nearest_and_not_cut_off() -> None:
    edges = [0.0, -0.0, 1e-30, 2.0**109, 2.0**111, -3e38, INF, -INF, NAN]
    x = np.concatenate([np.linspace(-3, 3, 999), edges]).astype(np.float32)
    (got,) = run(lambda graph, x: graph.add(ops.Cast(x, DType.BFLOAT16)), x)
    finite = np.isfinite(x)
    near = Tensor(got, DType.BFLOAT16).numpy().astype(np.float64)
    error = np.abs(near[finite] - x[finite]) / np.maximum(np.abs(x[finite]), 1e-38)
    # Beyond 2^110 digits may be cut off.
    assert (error <= np.where(np.abs(x[finite]) < 2.0**110, 2.0**-8, 2.0**-7)).all()
    np.testing.assert_array_equal(near[~finite], x[~finite])


@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0),
    st.sampled_from([np.float32, np.int32, np.int64]),
    st.booleans(),
)
def test_broadcasting(
    shapes: hnp.BroadcastableShapes, dtype: type[np.generic], dynamic: bool
) -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.integers(-9, 9, shape).astype(dtype) for shape in shapes.input_shapes)
    types = dynamic_types([a, b]) if dynamic else None
    got = run(
        lambda graph, a, b: [graph.add(ops.Sub(a, b)), graph.add(ops.Less(a, b))],
        a,
        b,
        types=types,
    )
    assert_same(got[0], a - b)
    assert_same(got[1], a < b)


def test_int64_beyond_32_bits_is_refused_as_constant() -> None:
    x = np.zeros(1, np.int64)
    with pytest.raises(BuildError, match=r"out of the range.*\n.*constant\n.*2147483647.*int32"):
        run(lambda graph, x: graph.add(ops.Add(x, graph.constant(np.array(2**31)))), x)


def test_bfloat16_helper_rounds() -> None:
    assert bfloat16(np.array([1.0])).type == TensorType(DType.BFLOAT16, (1,))
