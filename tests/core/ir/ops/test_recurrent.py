"""Types of recurrent layers."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, Value, ops


def _weights(gates: int, features: int = 3, hidden: int = 5, fed: int = 5) -> list[Value]:
    rows = gates * hidden
    return [value(rows, features), value(rows, fed), value(rows), value(rows)]


def _gru(
    x: tuple[Dim, ...] = (B, 4, 3), state: tuple[Dim, ...] = (B, 5), gates: int = 3
) -> ops.Gru:
    return ops.Gru(value(*x), value(*state), *_weights(gates))


def _lstm(
    cell: tuple[Dim, ...] = (B, 5), state: tuple[Dim, ...] = (B, 5), project: Value | None = None
) -> ops.Lstm:
    fed = state[-1]
    assert isinstance(fed, int)
    return ops.Lstm(value(B, 4, 3), value(*state), *_weights(4, fed=fed), value(*cell), project)


def test_shapes() -> None:
    assert _gru().infer() == (kind(B, 4, 5), kind(B, 5))
    assert _gru(x=(B, H, 3)).infer() == (kind(B, H, 5), kind(B, 5))
    rnn = ops.Rnn(value(B, 4, 3), value(B, 5), *_weights(1)[:2], None, None, "relu")
    assert rnn.infer() == (kind(B, 4, 5), kind(B, 5))
    assert _lstm().infer() == (kind(B, 4, 5), kind(B, 5), kind(B, 5))
    projected = _lstm(state=(B, 2), project=value(2, 5))
    assert projected.infer() == (kind(B, 4, 2), kind(B, 2), kind(B, 5))


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_gru(x=(B, 3)), "fwd.Gru x: wrong rank"),
        (_gru(x=(B, 0, 3)), "fwd.Gru: a sequence of one step or more"),
        (_gru(x=(B, 4, 2)), "fwd.Gru input features: sizes differ"),
        (_gru(state=(7, 5)), "fwd.Gru batch of the state: sizes differ"),
        (_gru(state=(B, 4)), "fwd.Gru rows of the input weight: sizes differ"),
        (_gru(gates=4), "fwd.Gru rows of the input weight: sizes differ"),
        (ops.Gru(value(B, 4, 3), value(B, 5), *_weights(3)[:3], None), "both biases or none"),
        (_lstm(cell=(7, 5)), "fwd.Lstm batch of the cell: sizes differ"),
        (_lstm(state=(B, 2)), "fwd.Lstm size of both states: sizes differ"),
        (_lstm(state=(B, 2), project=value(3, 5)), "fwd.Lstm projection: sizes differ"),
    ],
)
def test_what_does_not_fit(op: ops.Gru | ops.Lstm, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        op.infer()
