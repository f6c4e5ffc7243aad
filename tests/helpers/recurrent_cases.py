"""Recurrent operators for the list of all operators' cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fwd_core.ir import Dim, Operator, ops


def recurrent_cases(case: type[Any], weight: type[Any], dtypes: tuple[str, ...]) -> list[Any]:
    """Each operator with and without biases, in both directions, with given and fixed weights.

    Args:
        case: The class of cases.
        weight: The class of operands that are constants.
        dtypes: Of all operands.
    """

    def operands(gates: int, fixed: bool, *more: Any) -> Callable[[Dim], list[Any]]:
        wrap = weight if fixed else tuple
        shapes = [(gates * 5, 3), (gates * 5, 5), (gates * 5,), (gates * 5,)]
        return lambda b: [(b, 4, 3), (b, 5), *map(wrap, shapes), *more]

    def both(make: Any, *options: Any) -> Callable[..., Operator]:
        return lambda x, h, w, r, b, c, *more: make(x, h, w, r, b, c, *more, *options)

    def without(make: Any, *options: Any) -> Callable[..., Operator]:
        return lambda x, h, w, r, _b, _c, *more: make(x, h, w, r, None, None, *more, *options)

    def cells(b: Dim) -> list[Any]:
        return [*operands(4, True)(b), (b, 5)]

    def projected(b: Dim) -> list[Any]:
        weights = map(weight, [(20, 3), (20, 2), (20,), (20,)])
        return [(b, 4, 3), (b, 2), *weights, (b, 5), weight((2, 5))]

    return [
        case(ops.Rnn, both(ops.Rnn, "tanh"), operands(1, True), dtypes, "tanh"),
        case(ops.Rnn, without(ops.Rnn, "relu", True), operands(1, True), dtypes, "relu reverse"),
        case(ops.Gru, both(ops.Gru), operands(3, True), dtypes),
        case(ops.Gru, without(ops.Gru, True), operands(3, True), dtypes, "reverse, no biases"),
        case(ops.Gru, both(ops.Gru), operands(3, False), dtypes, "given weights"),
        case(ops.Lstm, both(ops.Lstm), cells, dtypes),
        case(ops.Lstm, without(ops.Lstm, None, True), cells, dtypes, "reverse, no biases"),
        case(ops.Lstm, both(ops.Lstm, True), projected, dtypes, "projection, reverse"),
    ]
