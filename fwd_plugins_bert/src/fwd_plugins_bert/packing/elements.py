"""Operators on each element alone: what they do to padding, and numbers that a mask becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim, Operator, Value, ops
from fwd_plugins_bert.packing.pieces import Axis, CannotFollow, Piece, State, checked, same, special

#: Each element by itself, of operands that broadcast.
ELEMENTS = (
    ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Maximum, ops.Minimum, ops.Where,
    ops.Cast, ops.Clamp, ops.Abs, ops.Neg, ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal, ops.Erf,
    ops.Tanh, ops.Relu, ops.Sigmoid, ops.Silu, ops.Gelu, ops.LeakyRelu, ops.Elu, ops.Mish,
    ops.Equal, ops.NotEqual, ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual,
    ops.And, ops.Or, ops.Not, ops.Quantize, ops.Dequantize,
)  # fmt: skip
#: Those that keep 0.
_KEEP_ZERO = (
    ops.Cast, ops.Abs, ops.Neg, ops.Sqrt, ops.Erf, ops.Tanh, ops.Relu, ops.Silu, ops.Gelu,
    ops.LeakyRelu, ops.Elu, ops.Mish,
)  # fmt: skip
Flags = tuple[bool, bool, bool]
_NUMBERS: dict[type[Operator], Callable[..., NDArray[Any]]] = {
    ops.Add: np.add,
    ops.Sub: np.subtract,
    ops.Mul: np.multiply,
    ops.Div: np.true_divide,
    ops.Maximum: np.maximum,
    ops.Minimum: np.minimum,
    ops.Where: lambda condition, a, b: np.where(condition != 0, a, b),
    ops.Neg: np.negative,
    ops.Equal: np.equal,
    ops.NotEqual: np.not_equal,
    ops.Less: np.less,
    ops.LessEqual: np.less_equal,
    ops.Greater: np.greater,
    ops.GreaterEqual: np.greater_equal,
    ops.And: np.logical_and,
    ops.Or: np.logical_or,
    ops.Not: np.logical_not,
}


def joined(
    op: Operator, states: list[State], batch: Dim, confirm: Callable[[frozenset[Value]], None]
) -> State:
    """The state of a result.

    Args:
        op: The operator.
        states: Those of its operands.
        batch: The size of the batch.
        confirm: Told of inputs whose tokens meet the padding mask.

    Raises:
        CannotFollow: Operands have batch or positions at different axes.
    """
    rank = max(len(state.axes) for state in states)
    lacks = [rank - len(state.axes) for state in states]
    result: list[Axis] = []
    for place in range(rank):
        own = [place - lack for lack in lacks]
        axis = _axis([state.axes[one] for state, one in zip(states, own, strict=True) if one >= 0])
        pieces = []
        for index, piece in enumerate(axis):
            if piece.kind != "position":
                pieces.append(piece)
                continue
            at = [
                (state, one if one >= 0 and special(state.axes[one]) else -1)
                for state, one in zip(states, own, strict=True)
            ]
            roots = frozenset(
                root for state, one in at if one >= 0 for root in state.axes[one][index].roots
            )
            if any(one >= 0 and state.tells(one, index) for state, one in at):
                confirm(roots)
            flags = _outcome(op, at, index)
            wrong, zero, low = flags
            pieces.append(replace(piece, roots=roots, wrong=wrong, zero=zero, low=low))
        result.append(tuple(pieces))
    return checked(result, batch, _table(op, states, result, lacks))


def _axis(given: list[Axis]) -> Axis:
    """The pieces of an axis of operands that broadcast."""
    wide = [axis for axis in given if axis]
    known = [axis for axis in wide if special(axis)]
    if any(not same(axis, known[0]) for axis in known[1:]):
        raise CannotFollow
    return known[0] if known else wide[0] if wide else ()


def _outcome(op: Operator, at: list[tuple[State, int]], index: int) -> Flags:
    """Whether a result is wrong, zero and low in padding of a piece."""
    flags = [state.flags(one, index) for state, one in at]
    wrong, zeros, lows = ([one[which] for one in flags] for which in range(3))
    if isinstance(op, ops.Where):
        return _chosen(at, index, flags)
    if isinstance(op, (ops.Mul, ops.And)):
        return (any(wrong) and not any(zeros), any(zeros), False)
    if isinstance(op, ops.Div):
        return (any(wrong) and not zeros[0], zeros[0], False)
    if isinstance(op, ops.Add):
        return any(wrong), all(zeros), any(lows)
    if isinstance(op, ops.Sub):
        return any(wrong), all(zeros), lows[0]
    if isinstance(op, ops.Minimum):
        return any(wrong), all(zeros), any(lows)
    if isinstance(op, (ops.Maximum, ops.Or)):
        return any(wrong), all(zeros), all(lows) and isinstance(op, ops.Maximum)
    if isinstance(op, ops.Exp):
        return wrong[0] and not lows[0], lows[0], False
    if isinstance(op, _KEEP_ZERO):
        low = lows[0] and isinstance(op, ops.Cast) and op.dtype.is_float
        return wrong[0], zeros[0], low
    return any(wrong), False, False


def _chosen(at: list[tuple[State, int]], index: int, flags: list[Flags]) -> Flags:
    (condition, one), *_ = at
    told, a, b = flags
    if condition.table is not None:
        numbers = condition.padding(one, index) != 0
        if numbers.all():
            return a
        if not numbers.any():
            return b
    return told[0] or a[0] or b[0], a[1] and b[1], a[2] and b[2]


def _table(
    op: Operator, states: list[State], result: list[Axis], lacks: list[int]
) -> NDArray[np.float64] | None:
    """Numbers of a result that the mask alone decides."""
    compute: Callable[..., Any] | None = _NUMBERS.get(type(op))
    if isinstance(op, ops.Cast):
        to_bool = str(op.dtype) == "bool"
        compute = (lambda x: x != 0) if to_bool else np.positive
    given = []
    for state, lack in zip(states, lacks, strict=True):
        if state.table is None or compute is None:
            return None
        shape = [
            2 if place >= lack and special(state.axes[place - lack]) else 1
            for place, axis in enumerate(result)
            for piece in axis
            if piece.kind == "position"
        ]
        given.append(state.table.reshape(shape))
    with np.errstate(all="ignore"):
        assert compute is not None
        return np.asarray(compute(*given), np.float64)


def lead(states: list[State], batch: Dim) -> list[Axis]:
    """Axes before the last two of a product of matrices, which each broadcast."""
    cut = [State(state.axes[:-2]) for state in states]
    probe: list[Axis] = []
    rank = max(len(state.axes) for state in cut)
    for place in range(rank):
        own = [(state, place - rank + len(state.axes)) for state in cut]
        axis = _axis([state.axes[one] for state, one in own if one >= 0])
        probe.append(tuple(_product(piece, own, index) for index, piece in enumerate(axis)))
    return probe


def _product(piece: Piece, own: list[tuple[State, int]], index: int) -> Piece:
    if piece.kind != "position":
        return piece
    at = [(state, one if one >= 0 and special(state.axes[one]) else -1) for state, one in own]
    flags = [state.flags(one, index) for state, one in at]
    zero = any(one[1] for one in flags)
    roots = frozenset(r for state, one in at if one >= 0 for r in state.axes[one][index].roots)
    wrong = any(one[0] for one in flags) and not zero
    return replace(piece, wrong=wrong, zero=zero, low=False, roots=roots)
