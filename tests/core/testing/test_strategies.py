"""Strategies draw what they say, all of it, and refuse what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from fwd_core.errors import OptionError
from fwd_core.ir import DType, Tensor
from fwd_core.testing import strategies as fwd
from fwd_core.testing.compare import as_tensor


@given(st.data())
def test_arrays_have_dtype_shape_and_limits(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes())
    shape = data.draw(fwd.shapes())
    low = data.draw(st.integers(0, 1 if dtype is DType.BOOL else 3))
    array = data.draw(fwd.arrays(dtype, shape, low=low, high=low + 2))
    assert isinstance(array, Tensor) == (dtype is DType.BFLOAT16)
    tensor = as_tensor(array)
    assert (tensor.dtype, tensor.shape) == (dtype, shape)
    numbers: Any = tensor.numpy()
    assert np.all((numbers >= low) & (numbers <= low + 2))
    if not isinstance(array, Tensor):
        assert array.flags.writeable


def test_arrays_of_a_seed_are_always_the_same() -> None:
    one, two = (fwd.array_of("float32", (3, 4), seed=7) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, fwd.array_of("float32", (3, 4), seed=8))  # type: ignore[arg-type]


def test_limits_are_those_of_the_dtype_at_most() -> None:
    array = fwd.arrays(DType.UINT8, (50,), low=-10, high=300)
    numbers = np.asarray(find(array, lambda found: bool(np.max(found) > 200)))
    assert numbers.dtype == np.uint8


CORNERS = {"zero": 0.0, "one": 1.0, "minus two": -2.0, "half": 0.5}


@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS)
def test_arrays_have_corners(corner: float) -> None:
    find(fwd.arrays("float32", (8,)), lambda found: corner in found)


@given(st.integers(1, 4), st.data())
def test_broadcastable(count: int, data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(count, 3, max_size=3))
    assert len(shapes) == count
    assert len(np.broadcast_shapes(*shapes)) <= 3


@given(fwd.left_padded(3, 4))
def test_left_padded(pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    short, long = sorted(pair, key=len)
    assert len(short) < len(long) <= 3
    assert np.broadcast_shapes(*pair) == long


@given(st.integers(1, 5), st.data())
def test_axes(rank: int, data: st.DataObject) -> None:
    assert -rank <= data.draw(fwd.axis(rank)) < rank
    least = data.draw(st.integers(0, rank))
    chosen = data.draw(fwd.axes(rank, least))
    assert least <= len(chosen) == len({axis % rank for axis in chosen})
    order = data.draw(fwd.permutations(rank))
    assert sorted(axis % rank for axis in order) == list(range(rank))


def test_no_axes() -> None:
    assert find(fwd.axes(0), lambda _: True) == find(fwd.permutations(0), lambda _: True) == ()


@given(st.data())
def test_pads(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes())
    negative = data.draw(st.booleans())
    pads = data.draw(fwd.pads(shape, 2, negative=negative))
    assert len(pads) == len(shape)
    for size, (before, after) in zip(shape, pads, strict=True):
        assert max(before, after) <= 2
        assert negative or min(before, after) >= 0
        assert size + before + after >= min(size, 1)


@given(fwd.batches(5))
def test_batches(drawn: fwd.Batches) -> None:
    assert 1 <= drawn.second < drawn.greatest <= 5
    assert 1 <= drawn.tuned <= drawn.greatest


FOUND: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bool]]] = {
    "0-d": (fwd.shapes(), lambda shape: shape == ()),
    "size 0": (fwd.shapes(), lambda shape: 0 in shape),
    "size 1": (fwd.shapes(), lambda shape: 1 in shape),
    "stretching": (fwd.broadcastable(), lambda pair: (2,) in pair and (1,) in pair),
    "shorter first": (fwd.left_padded(), lambda pair: len(pair[0]) < len(pair[1])),
    "longer first": (fwd.left_padded(), lambda pair: len(pair[0]) > len(pair[1])),
    "negative axis": (fwd.axis(3), lambda axis: axis < 0),
    "mixed axes": (fwd.axes(3), lambda axes: min(axes, default=0) < 0 < max(axes, default=0)),
    "open slice": (fwd.slices(3), lambda cut: cut.start is None and cut.stop is not None),
    "slice beyond": (fwd.slices(3), lambda cut: (cut.stop or 0) > 3),
    "slice from the end": (fwd.slices(3), lambda cut: (cut.start or 0) < 0),
    "steps": (fwd.slices(3), lambda cut: cut.step > 1),
    "a pad that cuts": (fwd.pads((5,), negative=True), lambda pads: pads[0][0] < 0),
    "a batch of one": (fwd.batches(), lambda drawn: drawn.second == 1),
    "bfloat16": (fwd.dtypes(), lambda dtype: dtype is DType.BFLOAT16),
}


@pytest.mark.parametrize(("strategy", "condition"), FOUND.values(), ids=FOUND)
def test_edges_are_drawn(
    strategy: st.SearchStrategy[Any], condition: Callable[[Any], bool]
) -> None:
    find(strategy, condition, settings=settings(max_examples=2000))


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no dtypes": (lambda: fwd.dtypes(()), "dtypes: argument 'allowed'"),
    "unknown dtype": (lambda: fwd.dtypes(["float8"]), "dtypes: unknown dtype"),
    "not a dtype": (lambda: fwd.arrays(3, ()), "arrays: unknown dtype"),  # type: ignore[arg-type]
    "negative rank": (lambda: fwd.shapes(-1), "shapes: argument 'min_rank'"),
    "ranks in disorder": (lambda: fwd.shapes(3, 2), "shapes: argument 'max_rank'"),
    "negative size": (lambda: fwd.shapes(min_size=-1), "shapes: argument 'min_size'"),
    "sizes in disorder": (lambda: fwd.shapes(min_size=3, max_size=2), "argument 'max_size'"),
    "no shapes": (lambda: fwd.broadcastable(0), "broadcastable: argument 'count'"),
    "padded rank": (lambda: fwd.left_padded(0), "left_padded: argument 'max_rank'"),
    "padded size": (lambda: fwd.left_padded(2, 0), "left_padded: argument 'max_size'"),
    "axis of nothing": (lambda: fwd.axis(0), "axis: argument 'rank'"),
    "axes of less than nothing": (lambda: fwd.axes(-1), "axes: argument 'rank'"),
    "too many axes": (lambda: fwd.axes(2, 3), "axes: argument 'min_count'"),
    "more axes than there are": (lambda: fwd.axes(2, max_count=3), "axes: argument 'max_count'"),
    "order of less than nothing": (lambda: fwd.permutations(-1), "permutations: argument 'rank'"),
    "slice of less than nothing": (lambda: fwd.slices(-1), "slices: argument 'size'"),
    "no step": (lambda: fwd.slices(2, 0), "slices: argument 'max_step'"),
    "negative pad": (lambda: fwd.pads((2,), -1), "pads: argument 'max_pad'"),
    "one batch": (lambda: fwd.batches(1), "batches: argument 'most'"),
    "negative size of an array": (lambda: fwd.arrays("int8", (-1,)), "arrays: argument 'shape'"),
    "limits in disorder": (lambda: fwd.arrays("int8", (), low=2, high=1), "argument 'low'"),
    "limits beyond the dtype": (lambda: fwd.arrays("int8", (), low=200, high=300), "within int8"),
}


@pytest.mark.parametrize(("make", "text"), BAD.values(), ids=BAD)
def test_bad_arguments(make: Callable[[], object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        make()
