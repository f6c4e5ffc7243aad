"""What depends on constants only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cleaning import apply, finish
from values import B, kind

from fwd_core.ir import DType, Graph, Operator, Tensor, Value, ops
from fwd_core.rewrite.cleanup import FoldConstants
from fwd_core.rewrite.cleanup.constants import GROWTH_LIMIT

Array = np.ndarray[Any, Any]
DATA = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
FOLDED: dict[str, tuple[Callable[[Value], Operator], Array]] = {
    "cast": (lambda x: ops.Cast(x, DType.FLOAT16), DATA.astype(np.float16)),
    "reshape": (lambda x: ops.Reshape(x, (3, 2)), DATA.reshape(3, 2)),
    "squeeze": (lambda x: ops.Squeeze(x, (1,)), DATA[:, 0]),
    "unsqueeze": (lambda x: ops.Unsqueeze(x, (3,)), DATA[..., None]),
    "transpose": (lambda x: ops.Transpose(x, (2, 0, 1)), DATA.transpose(2, 0, 1)),
    "expand": (lambda x: ops.Expand(x, (2, 4, 3)), np.broadcast_to(DATA, (2, 4, 3))),
    "concat": (lambda x: ops.Concat((x, x), 0), np.concatenate([DATA, DATA])),
    "slice": (lambda x: ops.Slice(x, 2, 1, 2), DATA[:, :, 1:]),
    "slice backwards": (lambda x: ops.Slice(x, 2, 2, 3, -1), DATA[:, :, ::-1]),
    "slice of nothing": (lambda x: ops.Slice(x, 2, 0, 0), DATA[:, :, :0]),
}


@pytest.mark.parametrize(("make", "wanted"), FOLDED.values(), ids=FOLDED)
def test_folded(make: Callable[[Value], Operator], wanted: Array) -> None:
    graph = Graph()
    result = graph.add(make(graph.constant(DATA, name="c")), name="moved")
    finish(graph, result)
    assert apply(FoldConstants(), graph) == (1, ["Constant c", "Constant moved"])
    found = graph.value("moved").constant
    assert found is not None
    assert (found.data.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.data.tolist() == wanted.tolist()
    assert apply(FoldConstants(), graph)[0] == 0, "constants themselves stay"


def test_chains_fold_in_one_walk() -> None:
    graph = Graph()
    value = graph.constant(DATA)
    for make, _ in FOLDED.values():
        value = graph.add(ops.Reshape(graph.add(make(value)), (6,))) if value is None else value
    a = graph.add(ops.Transpose(value, (2, 1, 0)))
    finish(graph, graph.add(ops.Reshape(a, (6,)), name="end"))
    assert apply(FoldConstants(), graph)[0] == 2
    assert graph.value("end").constant is not None


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.array([1.5, -2.5], np.float64), DType.FLOAT32),
        (np.array([1.5, 1e9], np.float32), DType.BFLOAT16),
        (np.array([70000.0], np.float32), DType.FLOAT16),
        (np.array([3, -1], np.int64), DType.INT32),
        (np.array([0, 2], np.int64), DType.BOOL),
        (np.array([True, False]), DType.FLOAT32),
    ],
)
def test_casts(source: Array, target: DType) -> None:
    graph = Graph()
    finish(graph, graph.add(ops.Cast(graph.constant(source), target), name="cast"))
    assert apply(FoldConstants(), graph)[0] == 1
    found = graph.value("cast").constant
    assert found is not None
    assert found.data.tolist() == Tensor(source).astype(target).data.tolist()


def test_sizes_that_are_known() -> None:
    graph = Graph()
    known = graph.add(ops.DimValue(7, DType.INT32), name="known")
    open_ = graph.add(ops.DimValue(B), name="open")
    finish(graph, known, open_)
    changed, left = apply(FoldConstants(), graph)
    assert (changed, left) == (1, ["Constant known", "DimValue open"])
    tensor = graph.value("known").constant
    assert tensor is not None
    assert (tensor.type, tensor.item()) == (kind(dtype="int32"), 7)


@pytest.mark.parametrize(
    "make",
    [
        lambda g, c: ops.Add(c, c),
        lambda g, c: ops.Cast(c, DType.INT32),  # out-of-range floats are the backend's to define
        lambda g, c: ops.Concat((c, g.add_input("x", kind(2, 1, 3))), 0),
        lambda g, c: ops.Expand(c, (2, GROWTH_LIMIT, 3)),
        lambda g, c: ops.Expand(c, (2, B, 3)),
        lambda g, c: ops.Slice(c, 0, B - 1, 1),
        lambda g, c: ops.Relu(c),
        lambda g, c: ops.Full((2,), 1.0, DType.FLOAT32),
    ],
)
def test_kept(make: Callable[[Graph, Value], Operator]) -> None:
    graph = Graph()
    constant = graph.constant(DATA)
    finish(graph, graph.add(make(graph, constant), name="kept"))
    assert apply(FoldConstants(), graph)[0] == 0


def test_a_constant_that_was_large_before_may_move() -> None:
    graph = Graph()
    large = graph.constant(np.zeros((GROWTH_LIMIT, 2), np.float32))
    finish(graph, graph.add(ops.Transpose(large, (1, 0))))
    assert apply(FoldConstants(), graph)[0] == 1


@pytest.mark.parametrize("axis", [None, 0, 2])
@pytest.mark.parametrize("zero", [None, -3, 5])
@pytest.mark.parametrize(("low", "high", "dtype"), [(-127, 127, DType.INT8), (0, 255, DType.UINT8)])
def test_weights_are_quantized(
    axis: int | None, zero: int | None, low: int, high: int, dtype: DType
) -> None:
    """Ties go to even; what dequantizes them stays, so that backends get the integers."""
    graph = Graph()
    numbers = np.array([[[-np.inf, -0.75, -0.25]], [[0.25, 0.75, 99]]], np.float32)
    shape = () if axis is None else (numbers.shape[axis],)
    scale = graph.constant(np.full(shape, 0.5, np.float32))
    point = None if zero is None else graph.constant(np.full(shape, zero, np.int32))
    q = ops.Quantize(graph.constant(numbers), scale, point, axis, low, high, dtype)
    held = graph.add(q, name="held")
    finish(graph, graph.add(ops.Dequantize(held, scale, point, axis), name="weight"))
    assert apply(FoldConstants(), graph)[0] == 1
    found, weight = graph.value("held").constant, graph.value("weight")
    assert found is not None
    assert weight.constant is None
    wanted = np.clip(np.array([[[-np.inf, -2, 0]], [[0, 2, 198]]]) + (zero or 0), low, high)
    assert found.type == held.type
    assert found.data.tolist() == wanted.astype(dtype.storage).tolist()


def test_scales_are_each_along_their_axis() -> None:
    graph = Graph()
    scale = graph.constant(np.array([1, 2, 4], np.float32))
    q = graph.add(ops.Quantize(graph.constant(DATA), scale, None, 2), name="q")
    finish(graph, q)
    assert apply(FoldConstants(), graph)[0] == 1
    found = graph.value("q").constant
    assert found is not None
    assert found.data.tolist() == [[[0, 0, 0]], [[3, 2, 1]]]  # 2 / 4 and 1 / 2 are ties


def test_weights_of_half_are_quantized() -> None:
    graph = Graph()
    half = graph.constant(Tensor(np.array([1.5, -2.25], np.float32)).astype(DType.BFLOAT16))
    finish(graph, graph.add(ops.Quantize(half, graph.constant(np.float32(0.5))), name="q"))
    assert apply(FoldConstants(), graph)[0] == 1
    found = graph.value("q").constant
    assert found is not None
    assert found.data.tolist() == [3, -4]


def test_a_nan_is_not_quantized_here() -> None:
    graph = Graph()
    broken = graph.constant(np.array([1, np.nan], np.float32))
    finish(graph, graph.add(ops.Quantize(broken, graph.constant(np.float32(1)))))
    assert apply(FoldConstants(), graph)[0] == 0
