"""Layer normalization that is written out becomes one operator, and its likes stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fusing import compare, normal, number, only, reasons, weight

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert.fusions import Fusion
from fwd_plugins_bert.fusions.layer_norm import FuseLayerNorm, FuseScaleAndShift

X = (normal(2, 5, 8) * 3 + 1,)
KIND = [TensorType(DType.FLOAT32, (2, 5, 8))]
BOTH: list[Fusion[Any]] = [FuseLayerNorm(), FuseScaleAndShift()]


def standardized(
    graph: Graph,
    x: Value,
    *,
    axes: tuple[int, ...] = (2,),
    power: bool = False,
    reciprocal: bool = False,
    swap: bool = False,
) -> Value:
    centred = graph.add(ops.Sub(x, graph.add(ops.ReduceMean(x, axes, True))))
    two = number(graph, 2.0)
    square = graph.add(ops.Pow(centred, two) if power else ops.Mul(centred, centred))
    variance, epsilon = graph.add(ops.ReduceMean(square, axes, True)), number(graph, 1e-3)
    moved = graph.add(ops.Add(epsilon, variance) if swap else ops.Add(variance, epsilon))
    root = graph.add(ops.Sqrt(moved))
    if not reciprocal:
        return graph.add(ops.Div(centred, root), name="normal")
    inverse = graph.add(ops.Reciprocal(root))
    return graph.add(ops.Mul(inverse, centred) if swap else ops.Mul(centred, inverse))


@pytest.mark.parametrize("form", ["power", "reciprocal", "swap"])
@pytest.mark.parametrize("also", [False, True])
def test_written_out(form: str, also: bool) -> None:
    flags: dict[str, Any] = {form: True, "reciprocal": also or form == "reciprocal"}
    counts, left = compare(lambda graph, x: standardized(graph, x, **flags), X, BOTH)
    assert counts == {"layer-norm": 1}
    norm = only(left, ops.LayerNorm)
    assert (norm.axes, norm.scale, norm.shift) == (1, None, None)
    assert norm.epsilon == pytest.approx(1e-3)
    assert len(left) == 1


def over(graph: Graph, x: Value, count: float, axes: tuple[int, ...] = (2,)) -> Value:
    """The variance as torch.var has it: a sum over a number."""
    centred = graph.add(ops.Sub(x, graph.add(ops.ReduceMean(x, axes, True))))
    total = graph.add(ops.ReduceSum(graph.add(ops.Mul(centred, centred)), axes, True))
    variance = graph.add(ops.Div(total, number(graph, count)))
    root = graph.add(ops.Sqrt(graph.add(ops.Add(variance, number(graph, 1e-3)))))
    return graph.add(ops.Div(centred, root))


def test_a_sum_of_squares_over_their_number() -> None:
    counts, left = compare(lambda graph, x: over(graph, x, 8.0), X, BOTH)
    assert counts == {"layer-norm": 1}
    assert only(left, ops.LayerNorm).epsilon == pytest.approx(1e-3)
    assert len(left) == 1


@pytest.mark.parametrize(
    ("count", "axes", "told"),
    [
        (7.0, (2,), "squares are divided by 7, which is not how many there are"),
        (5.0, (1,), "it normalizes other axes than the last one"),
    ],
)
def test_a_sum_that_is_left(count: float, axes: tuple[int, ...], told: str) -> None:
    found = reasons(lambda graph, x: over(graph, x, count, axes), KIND, FuseLayerNorm())
    assert found == [told]


@pytest.mark.parametrize("of", ["mean", "something else"])
def test_a_mean_of_squares_less_the_square_of_the_mean(of: str) -> None:
    def make(graph: Graph, x: Value) -> Value:
        mean = graph.add(ops.ReduceMean(x, (2,), True))
        squares = graph.add(ops.ReduceMean(graph.add(ops.Mul(x, x)), (2,), True))
        less = mean if of == "mean" else squares
        variance = graph.add(ops.Sub(squares, graph.add(ops.Mul(less, less))))
        root = graph.add(ops.Sqrt(graph.add(ops.Add(variance, number(graph, 1e-3)))))
        return graph.add(ops.Div(graph.add(ops.Sub(x, mean)), root))

    told = [
        "its variance is the mean of squares less the square of the mean, which is inexact where "
        "the mean is great, and may be negative"
    ]
    assert reasons(make, KIND, FuseLayerNorm()) == (told if of == "mean" else [])


@pytest.mark.parametrize("of", ["a sum of something else", "a difference of something else"])
def test_what_is_no_variance(of: str) -> None:
    def make(graph: Graph, x: Value) -> Value:
        mean = graph.add(ops.ReduceMean(x, (2,), True))
        if of == "a sum of something else":
            total = graph.add(ops.ReduceSum(graph.add(ops.Mul(x, x)), (2,), True))
            spread = graph.add(ops.Div(total, number(graph, 8.0)))
        else:
            spread = graph.add(ops.Sub(mean, graph.add(ops.Mul(mean, mean))))
        root = graph.add(ops.Sqrt(graph.add(ops.Add(spread, number(graph, 1e-3)))))
        return graph.add(ops.Div(graph.add(ops.Sub(x, mean)), root))

    assert reasons(make, KIND, FuseLayerNorm()) == []


def test_scale_and_shift() -> None:
    def make(graph: Graph, x: Value) -> Value:
        scaled = graph.add(ops.Mul(weight(graph, 8), standardized(graph, x)))
        return graph.add(ops.Add(scaled, weight(graph, 8)), name="y")

    counts, left = compare(make, X, BOTH)
    assert counts == {"layer-norm": 1, "layer-norm-scale": 2}
    assert len(left) == 1
    assert only(left, ops.LayerNorm).operand_fields()


def test_other_axes() -> None:
    def make(graph: Graph, x: Value) -> Value:
        return standardized(graph, x, axes=(1,))

    assert reasons(make, KIND, FuseLayerNorm()) == ["it normalizes other axes than the last one"]


def test_the_mean_of_another_tensor_is_none() -> None:
    def make(graph: Graph, x: Value) -> Value:
        centred = graph.add(
            ops.Sub(x, graph.add(ops.ReduceMean(graph.add(ops.Abs(x)), (2,), True)))
        )
        variance = graph.add(ops.ReduceMean(graph.add(ops.Mul(centred, centred)), (2,), True))
        root = graph.add(ops.Sqrt(graph.add(ops.Add(variance, number(graph, 1e-3)))))
        return graph.add(ops.Div(centred, root))

    assert reasons(make, KIND, FuseLayerNorm()) == []


def test_a_square_of_something_else_is_no_variance() -> None:
    def make(graph: Graph, x: Value) -> Value:
        centred = graph.add(ops.Sub(x, graph.add(ops.ReduceMean(x, (2,), True))))
        variance = graph.add(ops.ReduceMean(graph.add(ops.Mul(x, centred)), (2,), True))
        root = graph.add(ops.Sqrt(graph.add(ops.Add(variance, number(graph, 1e-3)))))
        return graph.add(ops.Div(centred, root))

    assert reasons(make, KIND, FuseLayerNorm()) == []


def test_a_normalization_that_others_read_keeps_its_scale_outside() -> None:
    def make(graph: Graph, x: Value) -> Any:
        norm = graph.add(ops.LayerNorm(x, None, None, 1, 1e-5))
        return [graph.add(ops.Mul(norm, weight(graph, 8))), graph.add(ops.Abs(norm))]

    told = reasons(make, KIND, FuseScaleAndShift())
    assert told == ["others read the normalization without its scale and shift"]


def test_what_is_no_vector_stays_outside() -> None:
    def make(graph: Graph, x: Value) -> Any:
        norm = graph.add(ops.LayerNorm(x, None, None, 1, 1e-5))
        return graph.add(ops.Mul(graph.constant(np.ones((5, 8), np.float32)), norm))

    assert reasons(make, KIND, FuseScaleAndShift()) == []


def test_a_second_scale_stays_outside() -> None:
    def make(graph: Graph, x: Value) -> Any:
        norm = graph.add(ops.LayerNorm(x, weight(graph, 8), None, 1, 1e-5))
        return graph.add(ops.Mul(norm, weight(graph, 8)))

    assert reasons(make, KIND, FuseScaleAndShift()) == []
