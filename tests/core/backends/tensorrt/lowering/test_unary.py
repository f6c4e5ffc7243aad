"""What TensorRT computes of one tensor, read from its own folding of constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, assert_types, build, computed, graph_of, layers, network

from fwd_core.ir import DType, TensorType, Value, ops

X = np.array([-3.5, -2.0, -1.0, -0.3, -0.0, 0.0, 0.4, 1.0, 1.7, 2.5, 3.0, 8.0])
POSITIVE = np.array([0.01, 0.4, 1.0, 1.7, 2.5, 8.0, 30.0])
UNIT = np.array([-1.0, -0.7, -0.3, -0.0, 0.0, 0.4, 0.9, 1.0])
#: One step of float16 at 32 and below is 2**-6 at most; float32's steps are below the 2**-16 in
#: which results are read, except that TensorRT's erf and pow are accurate to some 1e-6.
TOLERANCE = {"float32": 2e-5, "float16": 2e-2}


def _erf(x: Any) -> Any:
    from math import erf

    return np.vectorize(erf)(x)


def _gelu(x: Any) -> Any:
    return x / 2 * (1 + _erf(x / np.sqrt(2)))


def _elu(x: Any, alpha: float, scale: float) -> Any:
    return scale * np.where(x > 0, x, alpha * np.expm1(x))


def _gelu_tanh(x: Any) -> Any:
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


UNARY: list[tuple[str, Callable[..., Any], Callable[..., Any], Any]] = [
    ("exp", ops.Exp, np.exp, np.minimum(X, 3)),
    ("log", ops.Log, np.log, POSITIVE),
    ("sqrt", ops.Sqrt, np.sqrt, POSITIVE),
    ("reciprocal", ops.Reciprocal, np.reciprocal, POSITIVE[1:]),
    ("erf", ops.Erf, _erf, X),
    ("sin", ops.Sin, np.sin, X),
    ("cos", ops.Cos, np.cos, X),
    ("tanh", ops.Tanh, np.tanh, X),
    ("sigmoid", ops.Sigmoid, lambda x: 1 / (1 + np.exp(-x)), X),
    ("floor", ops.Floor, np.floor, X),
    ("ceil", ops.Ceil, np.ceil, X),
    ("silu", ops.Silu, lambda x: x / (1 + np.exp(-x)), X),
    ("gelu", ops.Gelu, _gelu, X),
    ("gelu-tanh", lambda x: ops.Gelu(x, "tanh"), _gelu_tanh, X),
    ("leaky", lambda x: ops.LeakyRelu(x, 0.1), lambda x: np.where(x > 0, x, 0.1 * x), X),
    ("relu", ops.Relu, lambda x: np.maximum(x, 0), X),
    ("abs", ops.Abs, np.abs, X),
    ("neg", ops.Neg, np.negative, X),
    ("sign", ops.Sign, np.sign, X),
    ("tan", ops.Tan, np.tan, X),
    ("asin", ops.Asin, np.arcsin, UNIT),
    ("acos", ops.Acos, np.arccos, UNIT),
    ("atan", ops.Atan, np.arctan, X),
    ("sinh", ops.Sinh, np.sinh, np.minimum(X, 2)),
    ("cosh", ops.Cosh, np.cosh, np.minimum(X, 2)),
    ("asinh", ops.Asinh, np.arcsinh, X),
    ("acosh", ops.Acosh, np.arccosh, POSITIVE[2:]),
    ("atanh", ops.Atanh, np.arctanh, UNIT[1:-1]),
    ("round", ops.Round, np.round, X),
    ("expm1", ops.Expm1, np.expm1, np.minimum(X, 3)),
    ("log1p", ops.Log1p, np.log1p, POSITIVE),
    ("mish", ops.Mish, lambda x: x * np.tanh(np.log1p(np.exp(x))), X),
    ("elu", lambda x: ops.Elu(x, 0.5), lambda x: _elu(x, 0.5, 1), X),
    ("selu", lambda x: ops.Elu(x, 1.5, 2.0), lambda x: _elu(x, 1.5, 2), np.minimum(X, 3)),
    ("clamp", lambda x: ops.Clamp(x, -1, 2.5), lambda x: np.clip(x, -1, 2.5), X),
    ("clamp-low", lambda x: ops.Clamp(x, -1), lambda x: np.maximum(x, -1), X),
    ("clamp-high", lambda x: ops.Clamp(x, None, 1.5), lambda x: np.minimum(x, 1.5), X),
    ("clamp-crossed", lambda x: ops.Clamp(x, 3, 1), lambda x: np.full_like(x, 1), X),
]


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("make", "expected", "x"), [u[1:] for u in UNARY], ids=[u[0] for u in UNARY]
)
def test_functions_of_floats(make: Any, expected: Any, x: Any, dtype: str, features: Any) -> None:
    x = x.astype(dtype)
    result = computed(make, x, features=features)
    assert result.dtype == x.dtype
    np.testing.assert_allclose(result, expected(x.astype(np.float64)), atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("operator", "expected"), [(ops.Sin, np.sin), (ops.Cos, np.cos), (ops.Tan, np.tan)]
)
def test_angles_are_brought_within_half_a_turn_for_short_sines(
    operator: Any, expected: Any, dtype: str
) -> None:
    x = np.array([0.3, -9.0, 100.0, -1000.0, 12345.0, 65000.0]).astype(dtype)
    result = computed(operator, x, features=LIKE_8)
    np.testing.assert_allclose(result, expected(x.astype(np.float64)), atol=TOLERANCE[dtype])
    graph, _ = graph_of(operator, TensorType(DType.of(dtype), (6,)))
    for features, count in ((None, 0), (LIKE_8, 1)):
        with network(graph, features) as ctx:
            names = [layer.op.name for layer in layers(ctx, "IUnaryLayer")]
            assert names.count("ROUND") == count
    assert_types(graph, LIKE_8)


@pytest.mark.parametrize(
    ("dtype", "shape", "beside", "by_erf"),
    [
        ("float16", (6,), "", False),
        ("float32", (6,), "", True),
        ("float16", (2, 4, 8), "bytes", True),
        ("float16", (2, 4, 8), "bytes and attention", False),
        ("float16", (8, 8), "bytes and attention", True),
        ("float16", (2, 4, 8, 8), "bytes and attention", True),
        ("float32", (2, 4, 8), "bytes and attention", True),
    ],
)
def test_gelu_of_half_is_by_tanh_for_tensorrt_8(
    dtype: str, shape: tuple[int, ...], beside: str, by_erf: bool
) -> None:
    kind = DType.of(dtype)

    def make(x: Value, queries: Value) -> ops.Gelu:
        add = x.graph.add
        if "attention" in beside:
            add(ops.Attention(queries, queries, queries))
        if not beside:
            return ops.Gelu(x)
        scale = x.graph.constant(np.array(0.1, np.float32))
        narrow = add(ops.Quantize(x, scale, None, None, -128, 127, DType.INT8))
        return ops.Gelu(add(ops.Dequantize(narrow, scale, None, None, kind)))

    queries = TensorType(kind, (2, 2, 4, 8))
    graph, _ = graph_of(make, TensorType(kind, shape), queries)
    # Layers of TensorRT-RTX, which stands in, are given the type that they make.
    with network(graph, replace(LIKE_8, typed_quantization=True)) as ctx:
        erfs = [one for one in layers(ctx, "IUnaryLayer") if one.op.name == "ERF"]
        powers = [one for one in layers(ctx, "IElementWiseLayer") if one.op.name == "POW"]
    assert (len(erfs), len(powers)) == ((1, 0) if by_erf else (0, 1))


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_slopes_of_a_single_number(shape: tuple[int, ...], features: Any) -> None:
    x = TensorType(DType.FLOAT32, shape)
    graph, _ = graph_of(lambda x, slope: ops.PRelu(x, slope), x, np.array(0.25, np.float32))
    assert_types(graph, features)
    with network(graph, features) as ctx:
        (layer,) = (
            ctx.network.get_layer(index)
            for index in range(ctx.network.num_layers)
            if ctx.network.get_layer(index).type.name == "PARAMETRIC_RELU"
        )
        assert tuple(layer.get_output(0).shape) == (shape or (1,))
    build(graph)
