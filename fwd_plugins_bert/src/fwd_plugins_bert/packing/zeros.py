"""Zeros in padding, where values leave what is computed for tokens."""

from __future__ import annotations

import numpy as np

from fwd_core.ir import Dim, DType, Emitter, Value, ops
from fwd_plugins_bert.packing.pieces import Piece, State, special, width


class Zeros:
    """Makes them by the padding mask."""

    def __init__(self, mask: Value, marks_padding: bool) -> None:
        self._mask, self._marks_padding = mask, marks_padding

    def put(self, emit: Emitter, value: Value, kept: Value, name: str) -> Value:
        """A value with zeros where it is not kept."""
        zero = emit.constant(np.zeros((), value.type.dtype.storage), "padding")
        return emit(ops.Where(kept, value, zero), name)

    def kept(self, emit: Emitter, state: State) -> Value:
        """Where a value is right, as bools that broadcast to it."""
        found: Value | None = None
        for piece in state.positions:
            if piece.wrong:
                one = self._along(emit, state, piece)
                found = one if found is None else emit(ops.And(found, one))
        assert found is not None
        return found

    def _along(self, emit: Emitter, state: State, position: Piece) -> Value:
        """Where a piece of positions is no padding."""
        mask = self._mask
        kept = mask if mask.type.dtype is DType.BOOL else emit(ops.Cast(mask, DType.BOOL))
        kept = emit(ops.Not(kept)) if self._marks_padding else kept
        for start, length, step in position.window:
            kept = emit(ops.Slice(kept, 1, start, length, step))
        # Axes of which they are a part have all their pieces, others none.
        wide = [
            piece
            for axis in state.axes
            for piece in (axis if any(_counts(one, position) for one in axis) else ())
        ]
        batch = [piece.kind for piece in wide].index("batch") if mask.type.shape[0] != 1 else None
        place = next(i for i, piece in enumerate(wide) if piece is position)
        if batch is None:
            kept = emit(ops.Squeeze(kept, (0,)))
        elif batch > place:
            kept = emit(ops.Transpose(kept, (1, 0)))
        counted = [_counts(piece, position) for piece in wide]
        sizes = tuple(piece.size for piece in wide)
        if not all(counted):
            missing = tuple(i for i, one in enumerate(counted) if not one)
            kept = emit(ops.Expand(emit(ops.Unsqueeze(kept, missing)), sizes))
        return emit(ops.Reshape(kept, _sizes(state, position)))


def _counts(piece: Piece, position: Piece) -> bool:
    return piece is position or piece.kind == "batch"


def _sizes(state: State, position: Piece) -> tuple[Dim, ...]:
    return tuple(
        width(axis) if special(axis) and any(_counts(one, position) for one in axis) else 1
        for axis in state.axes
    )
