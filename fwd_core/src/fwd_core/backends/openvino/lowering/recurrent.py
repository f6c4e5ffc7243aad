"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.graph import Value
from fwd_core.ir.ops import recurrent as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output


def _of_dynamic_size(_ctx: OpenVINOLowering, op: ops.Recurrent) -> str | None:
    """OpenVINO's operators have the hidden size as an attribute."""
    return None if isinstance(op.hidden(), int) else "the hidden size must be fixed"


@lowering("openvino", ops.Rnn, unless=_of_dynamic_size)
def rnn(ctx: OpenVINOLowering, op: ops.Rnn) -> tuple[Output, ...]:
    """RNNSequence."""
    node = ctx.opset.rnn_sequence(
        *_start(ctx, op),
        *_weights(ctx, op, (0,)),
        _batched(ctx, _biases(ctx, op, (0,))),
        op.hidden(),
        _direction(op),
        [op.activation],
    )
    return _results(ctx, node)


@lowering("openvino", ops.Gru, unless=_of_dynamic_size)
def gru(ctx: OpenVINOLowering, op: ops.Gru) -> tuple[Output, ...]:
    """GRUSequence, which has z before r, and both biases of n."""
    order = (1, 0, 2)
    bias = _biases(ctx, op, order)
    hidden = op.hidden()
    if op.recurrent_bias is None:
        last = _zeros(ctx, op, 1)
    else:
        last = _gates(ctx, ctx[op.recurrent_bias], op, (2,))
        first = ctx.opset.concat(
            [_gates(ctx, ctx[op.recurrent_bias], op, (1, 0)), _zeros(ctx, op, 1)], 0
        )
        assert op.input_bias is not None
        bias = ctx.opset.add(_gates(ctx, ctx[op.input_bias], op, order), first).output(0)
    node = ctx.opset.gru_sequence(
        *_start(ctx, op),
        *_weights(ctx, op, order),
        _batched(ctx, ctx.opset.concat([bias, last], 0).output(0)),
        hidden,
        _direction(op),
        linear_before_reset=True,
    )
    return _results(ctx, node)


@lowering("openvino", ops.Lstm, unless=_of_dynamic_size)
def lstm(ctx: OpenVINOLowering, op: ops.Lstm) -> tuple[Output, ...]:
    """LSTMSequence, which has f before i, and o last; it has no projection, so that is a loop."""
    if op.projection is not None:
        return _projected(ctx, op, op.projection)
    order = (1, 0, 2, 3)
    x, state, lengths = _start(ctx, op)
    cell = ctx.opset.unsqueeze(ctx[op.cell], ctx.vector([1]))
    node = ctx.opset.lstm_sequence(
        x,
        state,
        cell,
        lengths,
        *_weights(ctx, op, order),
        _batched(ctx, _biases(ctx, op, order)),
        op.hidden(),
        _direction(op),
    )
    return _results(ctx, node)


def _start(ctx: OpenVINOLowering, op: ops.Recurrent) -> tuple[Output, Output, Output]:
    """The sequences, the first state with an axis of directions, and every sequence's length."""
    batch, length, _ = op.x.type.shape
    state = ctx.opset.unsqueeze(ctx[op.state], ctx.vector([1])).output(0)
    lengths = ctx.opset.broadcast(ctx.scalar(length), ctx.vector([batch])).output(0)
    return ctx[op.x], state, lengths


def _weights(
    ctx: OpenVINOLowering, op: ops.Recurrent, order: Sequence[int]
) -> tuple[Output, Output]:
    """Both weights with their gates in another order, and an axis of directions."""
    return (
        _batched(ctx, _gates(ctx, ctx[op.input_weight], op, order)),
        _batched(ctx, _gates(ctx, ctx[op.recurrent_weight], op, order)),
    )


def _biases(ctx: OpenVINOLowering, op: ops.Recurrent, order: Sequence[int]) -> Output:
    """The sum of both biases, or zeros."""
    if op.input_bias is None or op.recurrent_bias is None:
        return _zeros(ctx, op, len(order))
    total = ctx.opset.add(ctx[op.input_bias], ctx[op.recurrent_bias]).output(0)
    return _gates(ctx, total, op, order)


def _gates(
    ctx: OpenVINOLowering, tensor: Output, op: ops.Recurrent, order: Sequence[int]
) -> Output:
    """Some gates of a weight or bias, in this order; folded where they are constants."""
    if len(order) == 1 and op.gates == 1:
        return tensor
    hidden = op.hidden()
    assert isinstance(hidden, int)
    rows = np.concatenate([np.arange(hidden) + gate * hidden for gate in order])
    return ctx.opset.gather(tensor, ctx.constant(rows), ctx.scalar(0)).output(0)


def _zeros(ctx: OpenVINOLowering, op: ops.Recurrent, count: int) -> Output:
    hidden = op.hidden()
    assert isinstance(hidden, int)
    return ctx.constant(np.zeros(count * hidden, np.float32))


def _batched(ctx: OpenVINOLowering, tensor: Output) -> Output:
    return ctx.opset.unsqueeze(tensor, ctx.vector([0])).output(0)


def _direction(op: ops.Rnn | ops.Gru | ops.Lstm) -> str:
    return "reverse" if op.reverse else "forward"


def _results(ctx: OpenVINOLowering, node: Node) -> tuple[Output, ...]:
    """The outputs without their axis of directions."""
    return tuple(ctx.opset.squeeze(one, ctx.vector([1])).output(0) for one in node.outputs())


def _projected(
    ctx: OpenVINOLowering, op: ops.Lstm, projection: Value
) -> tuple[Output, Output, Output]:
    """A TensorIterator over the steps. What does not depend on the state is computed before."""
    opset = ctx.opset
    gates = opset.matmul(ctx[op.x], ctx[op.input_weight], False, True)
    gates = opset.add(gates, _biases(ctx, op, (0, 1, 2, 3)))

    def step(x: Any, state: Any, cell: Any, weight: Any, project: Any) -> tuple[Any, Any]:
        total = opset.add(
            opset.squeeze(x, _index(opset, 1)), opset.matmul(state, weight, False, True)
        )
        i, f, g, o = opset.split(total, _index(opset, 1), 4).outputs()
        kept = opset.multiply(opset.sigmoid(f), cell)
        new = opset.add(kept, opset.multiply(opset.sigmoid(i), opset.tanh(g)))
        shown = opset.multiply(opset.sigmoid(o), opset.tanh(new))
        return opset.matmul(shown, project, False, True), new

    states = (ctx[op.state], ctx[op.cell])
    return _iterated(
        ctx, gates.output(0), states, (ctx[op.recurrent_weight], ctx[projection]), step, op.reverse
    )


def _iterated(
    ctx: OpenVINOLowering,
    x: Output,
    states: tuple[Output, Output],
    weights: Sequence[Output],
    step: Callable[..., tuple[Any, Any]],
    reverse: bool,
) -> tuple[Output, Output, Output]:
    """All results of the first state, and the last of both, of a step along axis 1 of x."""
    import openvino

    opset = ctx.opset
    shape = x.get_partial_shape()
    shape[1] = openvino.Dimension(1)
    held = [opset.parameter(shape, x.get_element_type())]
    held += [
        opset.parameter(one.get_partial_shape(), one.get_element_type())
        for one in (*states, *weights)
    ]
    news = step(*held)
    shown = opset.unsqueeze(news[0], _index(opset, 1))
    loop = opset.tensor_iterator()
    results = [opset.result(one) for one in (shown, *news)]
    loop.set_function(openvino.Model(results, held, "step"))
    # From the first slice to the last, or from the last to the first.
    start, stride, end = (-1, -1, 0) if reverse else (0, 1, -1)
    loop.set_sliced_input(held[0], x, start, stride, 1, end, 1)
    for parameter, first, result in zip(held[1:3], states, results[1:], strict=True):
        loop.set_merged_input(parameter, first, result.output(0))
    for parameter, weight in zip(held[3:], weights, strict=True):
        loop.set_invariant_input(parameter, weight)
    sequence = loop.get_concatenated_slices(results[0].output(0), start, stride, 1, end, 1)
    return (sequence, *(loop.get_iter_value(one.output(0), -1) for one in results[1:]))


def _index(opset: Any, number: int) -> Any:
    return opset.constant(np.array(number, np.int64))
