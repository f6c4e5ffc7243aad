"""Operators that make tensors from attributes and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from on_openvino import Array, assert_same, run

from fwd_core.errors import BuildError
from fwd_core.ir import Dim, DType, Graph, Tensor, TensorType, Value, ops, symbol
from fwd_core.ir.dims import maximum, minimum

pytest.importorskip("openvino")

N = symbol("n", 1, 4, 40)
M = symbol("m", 0, 3, 9)
W = symbol("w", 1, 5000, 2**30)
NUMPY_TYPES = ["float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
TYPES = [TensorType(DType.FLOAT32, (N, M))]


def inputs(n: int, m: int) -> Array:
    return np.zeros((n, m), np.float32)


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_constants_come_out_as_they_are(dtype: str, shape: tuple[int, ...]) -> None:
    value = np.random.default_rng(0).integers(0, 2**15, shape).astype(dtype)
    got = run(
        lambda graph, x: [
            graph.constant(value),
            graph.constant(value),
            graph.constant(inputs(1, 2)),
        ],
        inputs(1, 1),
    )
    assert_same(got[0], value)
    assert_same(got[1], value)
    assert_same(got[2], inputs(1, 2))
    got[0][...] = 0  # outputs are the caller's
    assert_same(got[1], value)


@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
def test_half_constants(dtype: DType) -> None:
    value = Tensor(np.linspace(-3, 3, 7, dtype=np.float32)).astype(dtype)
    (got,) = run(lambda graph, x: graph.constant(value), inputs(1, 1))
    assert_same(got, value.data)


def test_a_read_only_constant_is_shared_like_any_other() -> None:
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    value.flags.writeable = False
    x = np.ones((2, 3), np.float32)
    (got,) = run(lambda graph, x: graph.add(ops.Add(x, graph.constant(value))), x)
    assert_same(got, value + 1)


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_full(dtype: str) -> None:
    got = run(
        lambda graph, x: [
            graph.add(ops.Full((2, 3), 1, DType.of(dtype))),
            graph.add(ops.Full((), 1, DType.of(dtype))),
            graph.add(ops.Full((N, 2, M), 1, DType.of(dtype))),
        ],
        inputs(3, 5),
        types=TYPES,
    )
    assert_same(got[0], np.ones((2, 3), dtype))
    assert_same(got[1], np.ones((), dtype))
    assert_same(got[2], np.ones((3, 2, 5), dtype))


def test_full_of_int64_beyond_32_bits_is_refused() -> None:
    with pytest.raises(BuildError, match=r"(?s)int64 constant is out of the range.*full.*int32"):
        run(lambda graph, x: graph.add(ops.Full((2,), 2**40, DType.INT64)), inputs(1, 1))


#: Sizes, and what Python's integers make of them for n = 7, m = 5.
SIZES: list[tuple[Dim, int]] = [
    (3, 3),
    (N, 7),
    (2 * N, 14),
    (N + M, 12),
    (N * M - 2, 33),
    (N * N * M, 245),
    (N // 2, 3),
    ((N + 1) // 2, 4),
    (N % 4, 3),
    (N // M, 1),
    ((N * M) // (M + 1), 5),
    (minimum(N, 2 * M), 7),
    (maximum(N - M, 3), 3),
    (-(-N // 2), 4),
    (-((3 - N) // 2), 2),
    ((M - N) % 3, 1),
    ((M - N) // (M - 9), 0),
]


@pytest.mark.parametrize("dtype", [DType.INT64, DType.INT32])
@pytest.mark.parametrize(("dim", "expected"), SIZES, ids=str)
def test_dim_value(dim: Dim, expected: int, dtype: DType) -> None:
    (got,) = run(lambda graph, x: graph.add(ops.DimValue(dim, dtype)), inputs(7, 5), types=TYPES)
    assert_same(got, np.array(expected, dtype.storage))


@pytest.mark.parametrize("w", [1, 5, 2**24 + 3])
def test_division_of_sizes_beyond_float32(w: int) -> None:
    x = np.zeros((w, 1), np.uint8)
    got = run(
        lambda graph, x: [
            graph.add(ops.DimValue((W * 2 + 1) // 3)),
            graph.add(ops.DimValue((W * 2 + 1) % 7)),
        ],
        x,
        types=[TensorType(DType.UINT8, (W, 1))],
    )
    assert [int(one) for one in got] == [(2 * w + 1) // 3, (2 * w + 1) % 7]


@pytest.mark.parametrize(("symbol", "size"), [(N, 4), (W, 5), (W, 2**23 + 3)])
def test_a_size_is_read_from_its_multiples(symbol: Dim, size: int) -> None:
    got = run(
        lambda graph, x: [graph.add(ops.DimValue(symbol)), graph.add(ops.DimValue(symbol + 5))],
        np.zeros((3 * size, 1), np.uint8),
        types=[TensorType(DType.UINT8, (3 * symbol, 1))],
    )
    assert [int(one) for one in got] == [size, size + 5]


def test_a_size_that_no_input_carries_is_refused() -> None:
    with pytest.raises(BuildError, match=r"(?s)size 'm' cannot be read.*got:\s+no such input"):
        run(
            lambda graph, x: graph.add(ops.DimValue(M)),
            np.zeros((4, 2), np.float32),
            types=[TensorType(DType.FLOAT32, (N, M + 1))],
        )


@pytest.mark.parametrize("dtype", NUMPY_TYPES[:-1])
@pytest.mark.parametrize(("start", "step"), [(0, 1), (5, -1), (-3, 4)])
def test_arange(dtype: str, start: int, step: int) -> None:
    def make(graph: Graph, x: Value) -> list[Value]:
        return [
            graph.add(ops.Arange(length, start, step, DType.of(dtype))) for length in (6, 0, N, M)
        ]

    got = run(make, inputs(7, 0), types=TYPES)
    for one, length in zip(got, (6, 0, 7, 0), strict=True):
        assert_same(one, (start + step * np.arange(length)).astype(dtype))


def test_arange_of_sizes_and_of_fractions() -> None:
    got = run(
        lambda graph, x: [
            graph.add(ops.Arange(4, N, M)),
            graph.add(ops.Arange(4, N - 3, dtype=DType.FLOAT32)),
            graph.add(ops.Arange(N, 0.5, 0.25, DType.FLOAT32)),
            graph.add(ops.Arange(5, 0.5, 0.25, DType.FLOAT32)),
        ],
        inputs(7, 5),
        types=TYPES,
    )
    assert_same(got[0], 7 + 5 * np.arange(4))
    assert_same(got[1], np.arange(4, 8, dtype=np.float32))
    assert_same(got[2], (0.5 + 0.25 * np.arange(7)).astype(np.float32))
    assert_same(got[3], (0.5 + 0.25 * np.arange(5)).astype(np.float32))
