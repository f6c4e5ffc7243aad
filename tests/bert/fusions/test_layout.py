"""Where elements come from, compared with NumPy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol
from fwd_plugins_bert.fusions.layout import indices, is_whole, layout

SHAPE = (2, 6, 12)


def started(shape: Any = SHAPE) -> tuple[Graph, Value]:
    """A value that no move computed."""
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, shape))
    return graph, graph.add(ops.Abs(x))


def positions(found: Any) -> np.ndarray[Any, Any]:
    """The flat position in the source of each element, from the layout."""
    sizes = found.source.type.shape
    strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
    total = np.array(sum(o * s for o, s in zip(found.offsets, strides, strict=True)))
    for pieces in found.axes:
        steps = np.zeros(1, np.int64)
        for piece in pieces:
            more = np.arange(piece.size) * piece.stride * strides[piece.axis]
            steps = (steps[:, None] + more).reshape(-1)
        total = total[..., None] + steps
    return total


@st.composite
def moved(draw: st.DrawFn) -> tuple[Value, np.ndarray[Any, Any]]:
    """A value after a few moves, and the positions of its elements by NumPy."""
    graph, value = started()
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["reshape", "transpose", "slice", "unsqueeze"]))
        rank = array.ndim
        if kind == "transpose":
            order = draw(st.permutations(range(rank)))
            value, array = graph.add(ops.Transpose(value, tuple(order))), array.transpose(order)
        elif kind == "slice":
            axis = draw(st.integers(0, rank - 1))
            start = draw(st.integers(0, array.shape[axis] - 1))
            length = draw(st.integers(1, array.shape[axis] - start))
            value = graph.add(ops.Slice(value, axis, start, length))
            array = array[(slice(None),) * axis + (slice(start, start + length),)]
        elif kind == "unsqueeze" and rank < 6:
            value, array = graph.add(ops.Unsqueeze(value, (1,))), array[:, None]
        else:
            divisors = [n for n in range(1, array.size + 1) if array.size % n == 0]
            first = draw(st.sampled_from(divisors))
            rest = array.size // first
            second = draw(st.sampled_from([n for n in divisors if rest % n == 0]))
            shape = (first, second, rest // second)
            value, array = graph.add(ops.Reshape(value, shape)), array.reshape(shape)
    return value, array


@given(moved())
def test_what_is_told_is_right(case: tuple[Value, np.ndarray[Any, Any]]) -> None:
    value, expected = case
    found = layout(value)
    if found is not None:  # moves that part what belongs together cannot be told
        np.testing.assert_array_equal(positions(found), expected)


def test_heads_are_told() -> None:
    graph, value = started()
    heads = graph.add(ops.Transpose(graph.add(ops.Reshape(value, (2, 6, 3, 4))), (0, 2, 1, 3)))
    found = layout(heads)
    assert found is not None
    batch, head, length, size = found.axes
    assert is_whole(batch, 0, 2, 0)
    assert is_whole(length, 1, 6, 0)
    assert [(piece.axis, piece.size, piece.stride) for piece in (*head, *size)] == [
        (2, 3, 4),
        (2, 4, 1),
    ]
    np.testing.assert_array_equal(indices([*head, *size], 0), np.arange(12))
    assert len(found.nodes) == 2


def test_dynamic_sizes_are_told() -> None:
    batch, length = symbol("batch", 1, 2, 4), symbol("length", 1, 5, 8)
    graph, value = started((length, batch, 12))
    flat = graph.add(ops.Reshape(value, (length, batch * 3, 4)))
    heads = graph.add(ops.Transpose(flat, (1, 0, 2)))
    apart = graph.add(ops.Reshape(heads, (batch, 3, length, 4)))
    found = layout(apart)
    assert found is not None
    assert is_whole(found.axes[0], 1, batch, 0)
    assert is_whole(found.axes[2], 0, length, 0)
    assert indices(found.axes[0], 0) is None
    assert indices(found.axes[1], symbol("start", 0, 1, 4)) is None


@pytest.mark.parametrize("scale", [ops.Mul, ops.Div])
def test_factors_are_collected(scale: Any) -> None:
    graph, value = started()
    two = graph.constant(np.array(2.0, np.float32))
    scaled = graph.add(scale(graph.add(ops.Unsqueeze(value, (0,))), two))
    found = layout(graph.add(ops.Squeeze(scaled, (0,))))
    assert found is not None
    assert found.factor == (2.0 if scale is ops.Mul else 0.5)


def test_what_cannot_be_told() -> None:
    graph, value = started()
    assert layout(graph.add(ops.Reshape(value, (3, 4, 12)))) is None
    both = graph.add(ops.Reshape(value, (12, 12)))
    assert layout(graph.add(ops.Slice(both, 0, 3, 4))) is None
    assert layout(graph.add(ops.Slice(value, 1, 0, 3, 2))) is None


def test_far_sources_are_not_reached() -> None:
    graph, value = started()
    far = value
    for order in itertools.islice(itertools.cycle([(1, 0, 2)]), 20):
        far = graph.add(ops.Transpose(far, order))
    found = layout(far)
    assert found is not None
    assert found.source is not value
