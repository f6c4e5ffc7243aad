"""What is known of a value: which axes are batch and position, and what holds in padding.

Sizes are no proof: a model of 4 heads and 4 tokens has both. So axes are followed from the inputs
through what moves them, as pieces: an axis may be heads and batch in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim, Shape, Value, is_equal
from fwd_core.ir.dims import divide_exactly, product
from fwd_plugins_bert.dealing import dealt
from fwd_plugins_bert.padding import REMOVES

Kind = Literal["", "batch", "position"]
#: Slices of the positions: start, length and step, one after the other.
Window = tuple[tuple[Dim, Dim, int], ...]


@dataclass(frozen=True)
class Piece:
    """A part of an axis.

    Attributes:
        size: How many steps it has.
        kind: Sequences of the batch, positions in a sequence, or neither.
        window: Of positions: which of them.
        wrong: Of positions: where they are padding, the value differs from that of a padded run.
        zero: Where they are padding, it is 0, and is so in a padded run.
        low: Where they are padding, softmax leaves nothing of it.
        true: Where they are padding, it is not 0, and is so in a padded run.
        roots: Inputs whose tokens these are; the padding mask is one.
    """

    size: Dim
    kind: Kind = ""
    window: Window = ()
    wrong: bool = False
    zero: bool = False
    low: bool = False
    true: bool = False
    roots: frozenset[Value] = frozenset()

    def plain(self) -> Piece:
        """Without all that is known but the size."""
        return Piece(self.size)


Axis = tuple[Piece, ...]


class Flags(NamedTuple):
    """What a value is in padding: see :class:`Piece`."""

    wrong: bool = False
    zero: bool = False
    low: bool = False
    true: bool = False


class CannotFollowError(Exception):
    """Axes are moved in a way that is not known here."""


@dataclass(frozen=True)
class State:
    """What is known of a value.

    Attributes:
        axes: Pieces of each axis, of which one of size 1 has none.
        table: Of what is computed from the padding mask and numbers alone, element by element: its
            numbers, by one axis for each piece of positions, padding first and tokens second.
    """

    axes: tuple[Axis, ...]
    table: NDArray[np.float64] | None = field(default=None, compare=False)

    @property
    def pieces(self) -> list[Piece]:
        """All pieces, in row-major order."""
        return [piece for axis in self.axes for piece in axis]

    @property
    def positions(self) -> list[Piece]:
        """Those of positions."""
        return [piece for piece in self.pieces if piece.kind == "position"]

    @property
    def wrong(self) -> bool:
        """Whether anything differs from a padded run."""
        return any(piece.wrong for piece in self.positions)

    @property
    def roots(self) -> frozenset[Value]:
        """Inputs whose tokens it has where it is wrong."""
        return frozenset(root for piece in self.positions if piece.wrong for root in piece.roots)

    def flags(self, axis: int, index: int) -> Flags:
        """What it is in padding of a piece, that it may lack."""
        found = self.axes[axis][index] if axis >= 0 and self.axes[axis] else None
        if found is not None and found.kind != "position":
            found = None
        if self.table is None:
            return (
                Flags() if found is None else Flags(found.wrong, found.zero, found.low, found.true)
            )
        place = self._place(axis, index)
        numbers = self.table if place is None else self.table.take(0, place)
        outcomes = (numbers == 0, numbers <= REMOVES, numbers != 0)
        return Flags(False, *(bool(one.all()) for one in outcomes))

    def _place(self, axis: int, index: int) -> int | None:
        """The axis of the table for a piece."""
        if axis < 0 or not self.axes[axis] or self.axes[axis][index].kind != "position":
            return None
        before = [*(one for axis in self.axes[:axis] for one in axis), *self.axes[axis][:index]]
        return sum(piece.kind == "position" for piece in before)


def plain(shape: Shape, number: float | None = None) -> State:
    """Of a value of which nothing is known but its shape, and perhaps its one number."""
    table = None if number is None else np.array(number, np.float64)
    return State(tuple(() if size == 1 else (Piece(size),) for size in shape), table)


def checked(axes: Sequence[Axis], batch: Dim, table: NDArray[np.float64] | None = None) -> State:
    """A state, if its positions are those of one batch.

    Raises:
        CannotFollowError: They are not.
    """
    state = State(tuple(axes), table)
    count = sum(piece.kind == "batch" for piece in state.pieces)
    if count > 1:
        raise CannotFollowError
    if count == 0 and batch != 1 and state.positions:
        if state.wrong:
            raise CannotFollowError
        return State(tuple(tuple(piece.plain() for piece in axis) for axis in axes))
    return state


def regrouped(state: State, shape: Shape) -> State:
    """Pieces in row-major order, dealt out to axes of other sizes.

    Raises:
        CannotFollowError: Batch or positions would be cut.
    """

    def cut(piece: Piece, size: Dim) -> tuple[Piece, Piece] | None:
        inner = None if piece.kind else divide_exactly(piece.size, size)
        return None if inner is None else (Piece(size), Piece(inner))

    result = dealt(state.pieces, shape, cut)
    if result is None:
        raise CannotFollowError
    return State(tuple(result), state.table)


def transposed(state: State, order: Sequence[int]) -> State:
    """Axes in another order."""
    table = state.table
    if table is not None:
        numbers = iter(range(table.ndim))
        places = [
            [next(numbers) for piece in axis if piece.kind == "position"] for axis in state.axes
        ]
        table = table.transpose([place for axis in order for place in places[axis]])
    return State(tuple(state.axes[axis] for axis in order), table)


def same(a: Iterable[Piece], b: Iterable[Piece]) -> bool:
    """Whether pieces are those of the same axis."""
    first, second = list(a), list(b)
    return len(first) == len(second) and all(
        x.kind == y.kind and x.window == y.window and is_equal(x.size, y.size) is True
        for x, y in zip(first, second, strict=True)
    )


def special(axis: Iterable[Piece]) -> bool:
    """Whether there is batch or position in it."""
    return any(piece.kind for piece in axis)


def changed(axis: Axis) -> Axis:
    """Positions of an axis of which no more is known than whether they are wrong."""
    return tuple(
        replace(one, zero=False, low=False, true=False) if one.kind == "position" else one
        for one in axis
    )


def width(axis: Axis) -> Dim:
    """The size of an axis."""
    return product(piece.size for piece in axis)
