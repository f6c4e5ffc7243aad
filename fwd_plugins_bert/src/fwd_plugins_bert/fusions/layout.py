"""Where the elements of a tensor come from, through reshapes, transposes and slices.

Frameworks cut the result of a projection into heads in many ways: a view and a transpose, one
product for all three and a chunk, axes in other orders. What counts is which feature of which
token an element of the query is, and that is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim, Node, Shape, Value, is_equal, ops
from fwd_core.ir.dims import divide_exactly
from fwd_plugins_bert import match
from fwd_plugins_bert.dealing import dealt

_MOVES = (ops.Reshape, ops.Transpose, ops.Slice, ops.Squeeze, ops.Unsqueeze)
_FARTHEST = 16


@dataclass(frozen=True)
class Piece:
    """A part of an axis of the source, ``size`` steps of ``stride``."""

    axis: int
    size: Dim
    stride: Dim


Axes = list[tuple[Piece, ...]]


@dataclass(frozen=True)
class Layout:
    """Axes of a tensor as pieces of a source's axes, a row-major product each.

    Axes of size 1 have none. ``offsets`` are where slices begin, per axis of the source;
    ``factor`` is what all elements were multiplied by; ``nodes`` lie between.
    """

    source: Value
    axes: tuple[tuple[Piece, ...], ...]
    offsets: tuple[Dim, ...]
    factor: float
    nodes: tuple[Node, ...]


def layout(value: Value) -> Layout | None:
    """The layout of a value from the first before it that was computed, if it can be told."""
    chain, factor = [], 1.0
    source = value
    for _ in range(_FARTHEST):
        node = source.producer
        scaled = match.times_number(source)
        if node is None:
            break
        if scaled is not None:
            factor *= scaled[1]
            source = scaled[0]
        elif isinstance(node.op, _MOVES):
            source = node.op.x
        else:
            break
        chain.append(node)
    axes: Axes = [
        () if size == 1 else (Piece(i, size, 1),) for i, size in enumerate(source.type.shape)
    ]
    offsets: list[Dim] = [0] * len(axes)
    for node in reversed(chain):
        found = _moved(node, axes, offsets)
        if found is None:
            return None
        axes = found
    return Layout(source, tuple(axes), tuple(offsets), factor, tuple(chain))


def indices(pieces: Sequence[Piece], offset: Dim) -> NDArray[np.int64] | None:
    """Positions on an axis that pieces of it enumerate, in order; ``None`` if sizes are dynamic."""
    if not isinstance(offset, int):
        return None
    found = np.full(1, offset, np.int64)
    for piece in pieces:
        if not isinstance(piece.size, int) or not isinstance(piece.stride, int):
            return None
        steps = np.arange(piece.size, dtype=np.int64) * piece.stride
        found = (found[:, None] + steps).reshape(-1)
    return found


def _moved(node: Node, axes: Axes, offsets: list[Dim]) -> Axes | None:
    op = node.op
    if isinstance(op, ops.Transpose):
        return [axes[axis] for axis in op.order]
    if isinstance(op, (ops.Reshape, ops.Squeeze, ops.Unsqueeze)):
        return _regrouped([piece for axis in axes for piece in axis], node.output.type.shape)
    if isinstance(op, ops.Slice):
        return _cut(op, axes, offsets)
    return axes


def _cut(op: ops.Slice, axes: Axes, offsets: list[Dim]) -> Axes | None:
    pieces = axes[op.axis]
    if not pieces:
        return axes
    if len(pieces) != 1 or op.step != 1:
        return None
    (piece,) = pieces
    offsets[piece.axis] = offsets[piece.axis] + op.start * piece.stride
    kept = () if op.length == 1 else (Piece(piece.axis, op.length, piece.stride),)
    return [*axes[: op.axis], kept, *axes[op.axis + 1 :]]


def _regrouped(pieces: list[Piece], shape: Shape) -> Axes | None:
    """Pieces in row-major order dealt out to axes of other sizes, cut where an axis ends."""

    def cut(piece: Piece, size: Dim) -> tuple[Piece, Piece] | None:
        inner = divide_exactly(piece.size, size)
        if inner is None:
            return None
        return Piece(piece.axis, size, piece.stride * inner), Piece(piece.axis, inner, piece.stride)

    return dealt(pieces, shape, cut)


def is_whole(pieces: Sequence[Piece], axis: int, size: Dim, offset: Dim) -> bool:
    """Whether pieces are one axis of the source, all of it."""
    if offset != 0:
        return False
    if not pieces:
        return size == 1
    if len(pieces) != 1:
        return False
    (piece,) = pieces
    return piece.axis == axis and piece.stride == 1 and is_equal(piece.size, size) is True
