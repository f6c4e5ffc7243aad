"""Operators on each element alone: what they do to padding, and numbers that a mask becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim, Operator, Value, ops
from fwd_plugins_bert import match
from fwd_plugins_bert.packing.pieces import (
    Axis,
    CannotFollowError,
    Flags,
    Piece,
    State,
    checked,
    same,
    special,
)

Numbers = NDArray[Any]
#: Each element by itself, of operands that broadcast.
ELEMENTS = (
    ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Maximum, ops.Minimum, ops.Where,
    ops.Cast, ops.Clamp, ops.Abs, ops.Neg, ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal, ops.Erf,
    ops.Tanh, ops.Relu, ops.Sigmoid, ops.Silu, ops.Gelu, ops.LeakyRelu, ops.Elu, ops.Mish,
    ops.Equal, ops.NotEqual, ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual,
    ops.And, ops.Or, ops.Not, ops.Quantize, ops.Dequantize,
)  # fmt: skip
#: Those that keep 0, whatever their parameters are.
_KEEP_ZERO = (
    ops.Cast, ops.Abs, ops.Neg, ops.Sqrt, ops.Erf, ops.Tanh, ops.Relu, ops.Silu, ops.Gelu,
    ops.LeakyRelu, ops.Elu, ops.Mish,
)  # fmt: skip


def _chosen(condition: Numbers, a: Numbers, b: Numbers) -> Numbers:
    return np.asarray(np.where(condition != 0, a, b))


_NUMBERS: dict[type[Operator], Callable[..., Numbers]] = {
    ops.Add: np.add,
    ops.Sub: np.subtract,
    ops.Mul: np.multiply,
    ops.Div: np.true_divide,
    ops.Maximum: np.maximum,
    ops.Minimum: np.minimum,
    ops.Where: _chosen,
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
    op: Operator, states: list[State], batch: Dim, meet: Callable[[frozenset[Value]], None]
) -> State:
    """The state of a result.

    Args:
        op: The operator.
        states: Those of its operands.
        batch: The size of the batch.
        meet: Told of inputs whose tokens meet.

    Raises:
        CannotFollowError: Operands have batch or positions at different axes.
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
            meet(roots)
            flags = _outcome(op, at, index)
            pieces.append(replace(piece, roots=roots, **flags._asdict()))
        result.append(tuple(pieces))
    return checked(result, batch, _table(op, states, result, lacks))


def _axis(given: list[Axis]) -> Axis:
    """The pieces of an axis of operands that broadcast."""
    wide = [axis for axis in given if axis]
    known = [axis for axis in wide if special(axis)]
    if any(not same(axis, known[0]) for axis in known[1:]):
        raise CannotFollowError
    return known[0] if known else wide[0] if wide else ()


def _outcome(op: Operator, at: list[tuple[State, int]], index: int) -> Flags:
    """What a result is in padding of a piece."""
    flags = [state.flags(one, index) for state, one in at]
    wrong = any(one.wrong for one in flags)
    zeros, lows, trues = ([one[which] for one in flags] for which in (1, 2, 3))
    if isinstance(op, ops.Where):
        told, a, b = flags
        if told.true or told.zero:
            return a if told.true else b
        return Flags(wrong, *(x and y for x, y in zip(a[1:], b[1:], strict=True)))
    if isinstance(op, (ops.Mul, ops.And)):
        zero = any(zeros)
        return Flags(wrong and not zero, zero, true=all(trues) and isinstance(op, ops.And))
    if isinstance(op, ops.Or):
        true = any(trues)
        return Flags(wrong and not true, all(zeros), true=true)
    if isinstance(op, ops.Not):
        return Flags(wrong, zero=trues[0], true=zeros[0])
    if isinstance(op, ops.Div):
        return Flags(wrong and not zeros[0], zeros[0])
    if isinstance(op, (ops.Add, ops.Minimum)):
        return Flags(wrong, all(zeros), any(lows))
    if isinstance(op, ops.Sub):
        return Flags(wrong, all(zeros), lows[0])
    if isinstance(op, ops.Maximum):
        return Flags(wrong, all(zeros), all(lows))
    if isinstance(op, ops.Exp):
        return Flags(wrong and not lows[0], lows[0])
    if isinstance(op, ops.Cast) and op.dtype.is_float:
        return Flags(wrong, zeros[0], lows[0])
    if isinstance(op, ops.Cast) and str(op.dtype) == "bool":
        return Flags(wrong, zeros[0], true=trues[0])
    return Flags(wrong, _keeps_zero(op) and zeros[0])


def _keeps_zero(op: Operator) -> bool:
    # Weights of padding that softmax leaves nothing of are still 0 in 8 bits.
    if isinstance(op, (ops.Quantize, ops.Dequantize)):
        point = op.zero_point
        within = isinstance(op, ops.Dequantize) or op.low <= 0 <= op.high
        return within and (point is None or match.is_all(point, 0.0))
    return isinstance(op, _KEEP_ZERO)


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
    zero = any(one.zero for one in flags)
    roots = frozenset(r for state, one in at if one >= 0 for r in state.axes[one][index].roots)
    wrong = any(one.wrong for one in flags) and not zero
    return replace(piece, roots=roots, **Flags(wrong, zero)._asdict())
