"""Hypothesis strategies for tensors, shapes, axes and what operators take beside them.

They are neutral: nothing here knows a framework. Draw through ``data.draw(strategy, label=…)`` so
that a failure names what was drawn. Arguments after the first two are keyword-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fwd_core.errors import OptionError
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor

Array = Union[NDArray[Any], Tensor]
Shape = tuple[int, ...]
DTypeLike = Union[DType, str]

FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64)
INTEGERS = (DType.INT64, DType.INT32, DType.INT16, DType.INT8, DType.UINT8)
NUMBERS = FLOATS + INTEGERS
ALL = (*NUMBERS, DType.BOOL)
#: Where functions have corners, steps or signs.
_CORNERS = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0)


def dtypes(allowed: Iterable[DTypeLike] = ALL) -> st.SearchStrategy[DType]:
    """One of some dtypes; the first is what failures shrink to.

    Raises:
        OptionError: There is none, or one is unknown.
    """
    known = [_dtype("dtypes", one) for one in allowed]
    _require("dtypes", "allowed", bool(known), "at least one dtype", allowed)
    return st.sampled_from(known)


def shapes(
    min_rank: int = 0, max_rank: int = 4, *, min_size: int = 0, max_size: int = 5
) -> st.SearchStrategy[Shape]:
    """Shapes, among them 0-d ones and sizes 0 and 1 as far as the limits allow.

    Raises:
        OptionError: A limit is negative or a least one above its greatest.
    """
    _require_range("shapes", "rank", min_rank, max_rank)
    _require_range("shapes", "size", min_size, max_size)
    sizes = st.integers(min_size, max_size)
    return st.lists(sizes, min_size=min_rank, max_size=max_rank).map(tuple)


def broadcastable(
    count: int = 2, max_rank: int = 4, *, min_rank: int = 0, min_size: int = 0, max_size: int = 5
) -> st.SearchStrategy[tuple[Shape, ...]]:
    """Shapes that broadcast with one another; ranks differ and sizes 1 stretch.

    Raises:
        OptionError: ``count`` is below 1, or a limit is out of order.
    """
    _require("broadcastable", "count", count >= 1, "1 or more", count)
    _require_range("broadcastable", "rank", min_rank, max_rank)
    _require_range("broadcastable", "size", min_size, max_size)
    return hnp.mutually_broadcastable_shapes(
        num_shapes=count,
        min_dims=min_rank,
        max_dims=max_rank,
        min_side=min_size,
        max_side=max(max_size, 1),
    ).map(lambda drawn: drawn.input_shapes)


@st.composite
def _padded(draw: st.DrawFn, max_rank: int, max_size: int) -> tuple[Shape, Shape]:
    long = draw(shapes(1, max_rank, min_size=1, max_size=max_size))
    rank = draw(st.integers(0, len(long) - 1))
    tail = long[len(long) - rank :]
    short = tuple(draw(st.sampled_from([size, 1])) for size in tail)
    return (short, long) if draw(st.booleans()) else (long, short)


def left_padded(max_rank: int = 4, max_size: int = 5) -> st.SearchStrategy[tuple[Shape, Shape]]:
    """Two shapes that broadcast, one with fewer axes than the other, in either order.

    Raises:
        OptionError: A limit is below 1.
    """
    _require("left_padded", "max_rank", max_rank >= 1, "1 or more", max_rank)
    _require("left_padded", "max_size", max_size >= 1, "1 or more", max_size)
    return _padded(max_rank, max_size)


def axis(rank: int) -> st.SearchStrategy[int]:
    """An axis of that rank, counted from the front or (negative) from the end.

    Raises:
        OptionError: The rank is below 1.
    """
    _require("axis", "rank", rank >= 1, "1 or more", rank)
    return st.integers(0, rank - 1) | st.integers(-rank, -1)


@st.composite
def _axes(draw: st.DrawFn, rank: int, least: int, most: int) -> tuple[int, ...]:
    chosen = draw(
        st.lists(st.integers(0, rank - 1), min_size=least, max_size=most, unique=True)
        if rank
        else st.just([])
    )
    return tuple(one - rank if draw(st.booleans()) else one for one in chosen)


def axes(
    rank: int, min_count: int = 0, *, max_count: int | None = None
) -> st.SearchStrategy[tuple[int, ...]]:
    """Distinct axes in any order, some of them negative.

    Raises:
        OptionError: The rank is negative, or the counts are not within it.
    """
    _require("axes", "rank", rank >= 0, "0 or more", rank)
    most = rank if max_count is None else max_count
    _require("axes", "min_count", 0 <= min_count <= most, f"0 … {most}", min_count)
    _require("axes", "max_count", most <= rank, f"at most {rank}", max_count)
    return _axes(rank, min_count, most)


def permutations(rank: int) -> st.SearchStrategy[tuple[int, ...]]:
    """All axes in some order, some of them negative.

    Raises:
        OptionError: The rank is negative.
    """
    _require("permutations", "rank", rank >= 0, "0 or more", rank)
    return axes(rank, rank)


@dataclass(frozen=True)
class SliceOf:
    """Python's ``start:stop:step`` on one axis; bounds may be absent, negative or out of range."""

    start: int | None
    stop: int | None
    step: int


def slices(size: int, max_step: int = 3) -> st.SearchStrategy[SliceOf]:
    """Slices of an axis, empty ones too, with a positive step.

    Raises:
        OptionError: The size is negative or the step below 1.
    """
    _require("slices", "size", size >= 0, "0 or more", size)
    _require("slices", "max_step", max_step >= 1, "1 or more", max_step)
    bound = st.none() | st.integers(-size - 2, size + 2)
    return st.builds(SliceOf, bound, bound, st.integers(1, max_step))


def pads(
    shape: Sequence[int], max_pad: int = 3, *, negative: bool = False
) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """How much to add before and after each axis.

    Args:
        shape: What is padded.
        max_pad: Greatest addition on one side.
        negative: Draw negative additions too, which cut; at least one element stays.

    Raises:
        OptionError: ``max_pad`` is negative.
    """
    _require("pads", "max_pad", max_pad >= 0, "0 or more", max_pad)

    def pair(size: int) -> st.SearchStrategy[tuple[int, int]]:
        low = -((size - 1) // 2) if negative and size > 0 else 0
        return st.tuples(st.integers(low, max_pad), st.integers(low, max_pad))

    return st.tuples(*(pair(size) for size in shape))


@dataclass(frozen=True)
class Batches:
    """Sizes of a dynamic batch.

    Attributes:
        greatest: Of the example that the engine is built with.
        second: Of another run, 1 … ``greatest``.
        tuned: What the engine is tuned for, 1 … ``greatest``.
    """

    greatest: int
    second: int
    tuned: int


@st.composite
def _batches(draw: st.DrawFn, most: int) -> Batches:
    greatest = draw(st.integers(2, most))
    return Batches(greatest, draw(st.integers(1, greatest - 1)), draw(st.integers(1, greatest)))


def batches(most: int = 4) -> st.SearchStrategy[Batches]:
    """A greatest batch, a smaller one for a second run, and one to tune for.

    Raises:
        OptionError: ``most`` is below 2.
    """
    _require("batches", "most", most >= 2, "2 or more", most)
    return _batches(most)


def arrays(
    dtype: DTypeLike, shape: Shape, *, low: float = -4, high: float = 4, corners: bool = True
) -> st.SearchStrategy[Array]:
    """Arrays of one dtype and shape with numbers of bounded magnitude.

    All elements follow from one drawn seed, so that large arrays cost no more than small ones.

    Args:
        dtype: Any of Forward's; bfloat16 gives a :class:`~fwd_core.ir.Tensor`, all others NumPy
            arrays.
        shape: Sizes of the axes.
        low: Least number; limited to what the dtype holds.
        high: Greatest number, likewise. Integers include it.
        corners: Make some elements 0, -0, ±1/2, ±1 or ±2, as far as they are within the limits.

    Raises:
        OptionError: The dtype is unknown, a size is negative, or the limits are out of order.
    """
    kind = _dtype("arrays", dtype)
    _require("arrays", "shape", all(size >= 0 for size in shape), "sizes of 0 or more", shape)
    _require("arrays", "low", low <= high, f"at most high={high}", low)
    least, most = kind.limits
    _require("arrays", "low", low <= most and high >= least, f"within {kind}", (low, high))
    return st.integers(0, 2**20).map(
        lambda seed: array_of(
            kind, shape, seed=seed, low=max(low, least), high=min(high, most), corners=corners
        )
    )


def array_of(
    dtype: DTypeLike,
    shape: Shape,
    *,
    seed: int,
    low: float = -4,
    high: float = 4,
    corners: bool = False,
) -> Array:
    """The array that a seed stands for; see :func:`arrays`."""
    kind = _dtype("array_of", dtype)
    generator = np.random.default_rng(seed)
    if not kind.is_float:
        low, high = max(low, kind.limits[0]), min(high, kind.limits[1])
        return generator.integers(round(low), round(high), shape, endpoint=True).astype(
            kind.storage
        )
    numbers = generator.uniform(low, high, shape)
    within = [corner for corner in _CORNERS if low <= corner <= high]
    if corners and within:
        chosen = generator.choice(within, shape)
        numbers = np.where(generator.random(shape) < 0.2, chosen, numbers)
    tensor = Tensor(np.asarray(numbers, np.float64)).astype(kind)
    return tensor if kind is DType.BFLOAT16 else tensor.data


def _dtype(function: str, given: DTypeLike) -> DType:
    try:
        return DType.of(given)
    except (TypeError, ValueError):
        raise OptionError(
            f"{function}: unknown dtype", expected=", ".join(map(str, ALL)), got=repr(given)
        ) from None


def _require_range(function: str, what: str, low: int, high: int) -> None:
    _require(function, f"min_{what}", low >= 0, "0 or more", low)
    _require(function, f"max_{what}", high >= low, f"at least min_{what}={low}", high)


def _require(function: str, argument: str, right: bool, expected: str, got: object) -> None:
    if not right:
        raise OptionError(
            f"{function}: argument {argument!r} is out of range", expected=expected, got=repr(got)
        )
