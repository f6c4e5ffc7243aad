"""Integers of 8 bits where they are read, and pairs that lose all but 256 values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from on_openvino import Array, assert_same, build, dynamic_types, run

from fwd_core import Builder
from fwd_core.ir import DType, Graph, TensorType, Value, ops

#: With a scale of 0.5: ties, what is beyond, and infinities.
X = np.array([[-np.inf, -64.5, -64, -0.75], [-0.25, 0.25, 0.75, 1.24], [63, 63.6, 99, np.inf]])
X = X.astype(np.float32)
SCALES = np.array([0.5, 0.25, 2.0, 1.0], np.float32)
ZEROS = np.array([3, 0, -7, 100], np.int32)


def constants(graph: Graph, axis: int | None, zero: bool) -> tuple[Value, Value | None]:
    several = slice(0, X.shape[axis]) if axis is not None else 0
    point = graph.constant(np.asarray(ZEROS[several])) if zero else None
    return graph.constant(np.asarray(SCALES[several])), point


def expected(axis: int | None, zero: bool, low: int, high: int) -> Array:
    """By the definition, in float64."""
    several: Any = slice(0, X.shape[axis]) if axis is not None else 0
    along: Any = {None: (), 0: (-1, 1), 1: (1, -1)}[axis]
    scale = SCALES[several].reshape(along).astype(np.float64)
    point = ZEROS[several].reshape(along) if zero else np.zeros(1)
    return np.clip(np.rint(X / scale) + point, low, high)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(-128, 127, DType.INT8), (-127, 127, DType.INT8), (0, 255, DType.UINT8), (2, 9, DType.UINT8)],
)
@pytest.mark.parametrize("types", [None, dynamic_types([X])], ids=["static", "dynamic"])
def test_integers_and_pairs(
    axis: int | None, zero: bool, low: int, high: int, dtype: DType, types: Any
) -> None:
    if axis is not None:
        types = None

    def make(graph: Graph, x: Value) -> list[Value]:
        scale, point = constants(graph, axis, zero)
        read = graph.add(ops.Quantize(x, scale, point, axis, low, high, dtype))
        held = graph.add(ops.Quantize(x, scale, point, axis, low, high, dtype))
        return [read, graph.add(ops.Dequantize(held, scale, point, axis))]

    integers, floats = run(make, X, types=types)
    wanted = expected(axis, zero, low, high)
    assert_same(integers, wanted.astype(dtype.storage))
    along: Any = {None: (), 0: (-1, 1), 1: (1, -1)}[axis]
    several: Any = slice(0, X.shape[axis]) if axis is not None else 0
    scale = SCALES[several].reshape(along)
    point = ZEROS[several].reshape(along) if zero else 0
    exact = ((wanted - point) * scale).astype(np.float32)
    # FakeQuantize counts from its lowest integer, so that a tie goes to what is even from there.
    # Where there are several scales it is not used.
    first = -127 if low == -127 else -128 if dtype is DType.INT8 else 0
    odd = np.broadcast_to((point - first) % 2 == 1, X.shape)
    ratio = np.clip(X, -999, 999) / scale
    tie = np.abs(ratio - np.trunc(ratio)) == 0.5
    other = np.clip(2 * ratio - np.rint(ratio) + point, low, high)
    assert_same(
        floats,
        np.where(tie & odd & (axis is None), (other - point) * scale, exact).astype(np.float32),
    )


@pytest.mark.parametrize("dtype", [DType.INT8, DType.UINT8])
def test_integers_from_outside_and_constants(dtype: DType) -> None:
    q = np.array([[1, 127, 0], [5, 7, 100]], dtype.storage)

    def make(graph: Graph, x: Value) -> list[Value]:
        scale, point = graph.constant(SCALES[:3]), graph.constant(ZEROS[:3])
        fixed = graph.constant(q)
        return [
            graph.add(ops.Dequantize(x, scale, point, 1)),
            graph.add(ops.Dequantize(fixed, scale, point, 1)),
            graph.add(ops.Dequantize(graph.add(ops.Transpose(x, (1, 0))), scale, None, 0)),
        ]

    moved = (q.astype(np.float32) - ZEROS[:3]) * SCALES[:3]
    first, second, third = run(make, q)
    assert_same(first, moved.astype(np.float32))
    assert_same(second, moved.astype(np.float32))
    assert_same(third, (q.T * SCALES[:3, None]).astype(np.float32))


def test_parameters_from_outside() -> None:
    def make(graph: Graph, x: Value, scale: Value, point: Value) -> Value:
        q = graph.add(ops.Quantize(x, scale, point, 1))
        return graph.add(ops.Dequantize(q, scale, point, 1))

    (got,) = run(make, X, SCALES, ZEROS)
    wanted = np.clip(np.rint(X / SCALES) + ZEROS, -128, 127)
    assert_same(got, ((wanted - ZEROS) * SCALES).astype(np.float32))


def test_a_pair_of_one_number_and_of_none() -> None:
    def make(graph: Graph, x: Value) -> Value:
        scale = graph.constant(np.float32(0.5))
        return graph.add(ops.Dequantize(graph.add(ops.Quantize(x, scale)), scale))

    for x in (np.array(1.3, np.float32), np.zeros((2, 0, 3), np.float32)):
        assert_same(run(make, x)[0], (np.rint(x * 2) / 2).astype(np.float32))


def test_weights_stay_in_8_bits_in_the_model() -> None:
    """What is dequantized from constants is not computed while the engine is built."""

    def make(graph: Graph, x: Value) -> Value:
        w = graph.constant(np.arange(-50, 50, dtype=np.int8).reshape(4, 25))
        scale = graph.constant(SCALES)
        return graph.add(ops.Linear(x, graph.add(ops.Dequantize(w, scale, axis=0)), None))

    from on_openvino import PLUGINS, graph_of

    from fwd_core.backends.openvino.model import lower_graph
    from fwd_core.events import Events
    from fwd_core.ir import TensorType

    graph = graph_of(make, [TensorType(DType.FLOAT32, (3, 25))])
    model = lower_graph(graph, PLUGINS.lowerings, Events()).model
    held = [
        node.get_element_type().get_type_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant" and list(node.get_output_shape(0)) == [4, 25]
    ]
    assert held == ["i8"]
    x = np.ones((3, 25), np.float32)
    (got,) = build(graph).run_list([x])
    weight = np.arange(-50, 50).reshape(4, 25) * SCALES[:, None]
    assert_same(got, (x @ weight.T).astype(np.float32), rtol=1e-5)


def _as_it_is(graph: Graph, x: Value) -> Value:
    return x


def _heads(graph: Graph, x: Value) -> Value:
    """[1, 4, 16, 32] out of as many numbers of each token."""
    tokens = graph.add(ops.Reshape(x, (1, 16, 4, 32)))
    return graph.add(ops.Transpose(tokens, (0, 2, 1, 3)))


def _scaled(graph: Graph, x: Value) -> Value:
    half = graph.constant(np.array(0.5, np.float32))
    return graph.add(ops.Mul(_heads(graph, x), half))


@pytest.mark.parametrize("between", [_as_it_is, _heads, _scaled])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_to_quantized_tensors(
    masked: bool, between: Callable[[Graph, Value], Value]
) -> None:
    shape = (1, 4, 16, 32) if between is _as_it_is else (1, 16, 128)

    def graph(quantized: bool) -> Graph:
        made = Graph()
        q, k, v = (made.add_input(n, TensorType(DType.FLOAT32, shape)) for n in "qkv")
        mask = made.add_input("m", TensorType(DType.FLOAT32, (1, 1, 1, 16))) if masked else None
        if quantized:
            scale = made.constant(np.array(4 / 127, np.float32))
            q, k, v = (
                made.add(ops.Dequantize(made.add(ops.Quantize(x, scale)), scale)) for x in (q, k, v)
            )
        q, k, v = (between(made, x) for x in (q, k, v))
        made.set_outputs([made.add(ops.Attention(q, k, v, mask))], ["y"])
        return made.verify()

    numbers = np.random.default_rng(0)
    feeds = [numbers.standard_normal(shape, np.float32) for _ in "qkv"]
    if masked:
        feeds.append(np.where(np.arange(16) < 12, 0, -1e9).astype(np.float32)[None, None, None])
    builder = Builder(backend="openvino")
    (wanted,), (found,) = (builder.compile(graph(q)).run_list(feeds) for q in (False, True))
    noise = float(((wanted - found) ** 2).sum() / (wanted**2).sum())
    assert 1e-6 < noise < 1e-3
