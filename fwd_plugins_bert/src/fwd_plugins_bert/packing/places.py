"""Operators that take some places of a value, by numbers or by index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fwd_core.ir import Dim, Node, Value, ops
from fwd_plugins_bert.packing import elements
from fwd_plugins_bert.packing.pieces import Axis, State, changed, checked, plain, special


@dataclass(frozen=True)
class Taken:
    """What is known of places that are taken, and whether padding may be one that is wrong."""

    state: State
    read: bool = False


def taken(
    node: Node,
    op: Any,
    at: Callable[[Value], State],
    batch: Dim,
    meet: Callable[[frozenset[Value]], None],
) -> Taken | None:
    """Of a slice or gather; ``None`` if it cannot be followed.

    Raises:
        CannotFollowError: Of what it takes batch and positions do not fit.
    """
    x = at(op.x)
    if isinstance(op, ops.Slice):
        return _slice(op, x, batch)
    indices = at(op.indices)
    if isinstance(op, ops.GatherND):
        return _tuples(node, op, x, indices, batch)
    along = x.axes[op.axis]
    wrong = any(piece.wrong for piece in along)
    if any(piece.kind == "batch" for piece in along) or (wrong and indices.wrong):
        return None
    before, after = x.axes[: op.axis], x.axes[op.axis + 1 :]
    if isinstance(op, ops.Gather):
        axes = [*map(changed, before), *map(changed, indices.axes), *map(changed, after)]
        return Taken(checked(axes, batch), wrong)
    other = (*indices.axes[: op.axis], (), *indices.axes[op.axis + 1 :])
    both = [State((*before, (), *after)), State(other)]
    axes = list(elements.joined(op, both, batch, meet).axes)
    axes[op.axis] = changed(indices.axes[op.axis])
    return Taken(checked(axes, batch), wrong)


def _slice(op: ops.Slice, x: State, batch: Dim) -> Taken | None:
    axis, axes = x.axes[op.axis], list(x.axes)
    if not special(axis):
        axes[op.axis] = plain((op.length,)).axes[0]
        return Taken(State(tuple(axes), x.table))
    if len(axis) != 1 or axis[0].kind != "position":
        return None
    (piece,) = axis
    if op.length == 1:
        axes[op.axis] = ()
        return Taken(checked(axes, batch), piece.wrong)
    window = (*piece.window, (op.start, op.length, op.step))
    axes[op.axis] = (replace(piece, size=op.length, window=window),)
    return Taken(checked(axes, batch, x.table))


def _tuples(node: Node, op: ops.GatherND, x: State, indices: State, batch: Dim) -> Taken | None:
    grid = _grid(op, x)
    if grid is not None:
        return Taken(checked(grid.axes, batch, grid.table))
    many = op.indices.type.shape[-1]
    if not isinstance(many, int) or indices.wrong:
        return None
    if any(map(special, x.axes[op.batch_axes + many :])):
        return None
    return Taken(plain(node.output.type.shape), x.wrong)


def _grid(op: ops.GatherND, x: State) -> State | None:
    """Of known indices that are those of a whole tensor, in order: its axes where they go."""
    known, rank = op.indices.constant, len(x.axes)
    if known is None or op.batch_axes or known.data.shape[-1] != rank or len(x.positions) > 1:
        return None
    shape = known.data.shape[:-1]
    axes: list[Axis] = [() for _ in shape]
    for place, size in enumerate(op.x.type.shape):
        indices = known.data[..., place]
        if size == 1:  # all are 0
            continue
        steps = [
            axis
            for axis in range(len(shape))
            if shape[axis] == size
            and (np.moveaxis(indices, axis, -1) == np.arange(shape[axis])).all()
        ]
        if len(steps) != 1 or axes[steps[0]]:
            return None
        axes[steps[0]] = x.axes[place]
    new = plain(shape).axes
    return State(tuple(a or b for a, b in zip(axes, new, strict=True)), x.table)
