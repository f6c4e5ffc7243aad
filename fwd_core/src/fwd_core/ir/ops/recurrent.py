"""Recurrent layers: one layer in one direction, over whole sequences.

x is [batch, length, in], states are [batch, hidden], ``recurrent_weight`` is [gates * hidden,
hidden] and ``input_weight`` [gates * hidden, in], with the gates one after another. ``reverse``
walks from the last step to the first and puts each result at the place of its step.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.dims import Dim
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import TensorType


@operator
class Recurrent(Operator, abstract=True):
    """Base of recurrent layers; ``bias`` arguments are [gates * hidden], both or none."""

    x: Value
    state: Value
    input_weight: Value
    recurrent_weight: Value
    input_bias: Value | None
    recurrent_bias: Value | None

    #: How many gates the weights hold.
    gates: ClassVar[int] = 1

    def infer(self) -> tuple[TensorType, ...]:
        what = self.kind()
        check.require_dtype(what, self.x, check.FLOATS)
        check.require_same_dtype(what, *self.operands())
        check.require_rank(f"{what} x", self.x, 3)
        check.require_rank(f"{what} state", self.state, 2)
        batch, length, features = self.x.type.shape
        if dim_facts.is_less(0, length) is not True:
            raise GraphError(f"{what}: a sequence of one step or more", got=self.x.type)
        fed, hidden = self.state.type.shape[1], self.hidden()
        check.require_equal(f"{what} batch of the state", batch, self.state.type.shape[0])
        for name, weight, width in (
            ("input", self.input_weight, features),
            ("recurrent", self.recurrent_weight, fed),
        ):
            check.require_rank(f"{what} {name} weight", weight, 2)
            check.require_equal(
                f"{what} rows of the {name} weight", hidden * self.gates, weight.type.shape[0]
            )
            check.require_equal(f"{what} {name} features", weight.type.shape[1], width)
        if (self.input_bias is None) is not (self.recurrent_bias is None):
            raise GraphError(f"{what}: both biases or none")
        for bias in (self.input_bias, self.recurrent_bias):
            if bias is not None:
                check.require_rank(f"{what} bias", bias, 1)
                check.require_equal(f"{what} bias", hidden * self.gates, bias.type.shape[0])
        state = self.state.type
        return (state.with_shape((batch, length, state.shape[1])), state)

    def hidden(self) -> Dim:
        """How many numbers a gate has."""
        return self.state.type.shape[1]


@operator
class Rnn(Recurrent):
    """h' = f(W x + b + R h + c), with f tanh or relu.

    Outputs [batch, length, hidden] and the last h. ``aten::rnn_tanh``, ``aten::rnn_relu``.
    """

    activation: Literal["tanh", "relu"] = "tanh"
    reverse: bool = False


@operator
class Gru(Recurrent):
    """Gated recurrent units. Outputs [batch, length, hidden] and the last h.

    Gates r, z, n: r and z are sigmoid(W x + b + R h + c), n = tanh(W x + b + r * (R h + c)), and
    h' = (1 - z) * n + z * h. ``aten::gru``.
    """

    gates: ClassVar[int] = 3

    reverse: bool = False


@operator
class Lstm(Recurrent):
    """Long short-term memory. Outputs [batch, length, hidden], the last h and the last c.

    Gates i, f, g, o of W x + b + R h + c: c' = sigmoid(f) * c + sigmoid(i) * tanh(g) and h' =
    sigmoid(o) * tanh(c'). ``cell`` is the first c. With a ``projection`` of [size, hidden], h' is
    multiplied with it, and h has that size. ``aten::lstm``.
    """

    gates: ClassVar[int] = 4

    cell: Value
    projection: Value | None = None
    reverse: bool = False

    def infer(self) -> tuple[TensorType, ...]:
        what = self.kind()
        check.require_rank(f"{what} cell", self.cell, 2)
        sequence, state = super().infer()
        check.require_equal(f"{what} batch of the cell", state.shape[0], self.cell.type.shape[0])
        if self.projection is None:
            check.require_equal(f"{what} size of both states", self.hidden(), state.shape[1])
        else:
            check.require_rank(f"{what} projection", self.projection, 2)
            for wanted, got in zip(
                (state.shape[1], self.hidden()), self.projection.type.shape, strict=True
            ):
                check.require_equal(f"{what} projection", wanted, got)
        return (sequence, state, self.cell.type)

    def hidden(self) -> Dim:
        """How many numbers a gate has: those of the cell."""
        return self.cell.type.shape[-1]
