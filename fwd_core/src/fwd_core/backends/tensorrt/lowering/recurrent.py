"""Recurrent layers, as loops over their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fwd_core.backends.tensorrt.context import ILayer, ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.creation import size
from fwd_core.backends.tensorrt.lowering.linear import product
from fwd_core.ir import ops
from fwd_core.ir.graph import Value
from fwd_core.plugins.markers import lowering

States = Sequence[ITensor]
#: From the step's part of the gates and the states to the next states.
Step = Callable[[ITensor, States], States]


@lowering("tensorrt", ops.Rnn)
def rnn(ctx: TensorRTLowering, op: ops.Rnn) -> tuple[ITensor, ...]:
    """One sum and one activation per step."""

    def step(x: ITensor, states: States) -> States:
        total = ctx.elementwise("SUM", x, _fed_back(ctx, op, states[0]))
        return [_activated(ctx, total, op.activation.upper())]

    return _loop(ctx, op, [op.state], step, op.reverse)


@lowering("tensorrt", ops.Gru)
def gru(ctx: TensorRTLowering, op: ops.Gru) -> tuple[ITensor, ...]:
    """The recurrent bias stays with the recurrent product, because r multiplies both."""

    def step(x: ITensor, states: States) -> States:
        fed = _fed_back(ctx, op, states[0])
        if op.recurrent_bias is not None:
            fed = ctx.elementwise("SUM", fed, ctx.ranked(op.recurrent_bias, 2))
        reset, update = (
            _activated(
                ctx, ctx.elementwise("SUM", _gate(ctx, op, x, k), _gate(ctx, op, fed, k)), "SIGMOID"
            )
            for k in (0, 1)
        )
        kept = ctx.elementwise("PROD", reset, _gate(ctx, op, fed, 2))
        new = _activated(ctx, ctx.elementwise("SUM", _gate(ctx, op, x, 2), kept), "TANH")
        # (1 - z) * n + z * h
        difference = ctx.elementwise("SUB", states[0], new)
        return [ctx.elementwise("SUM", new, ctx.elementwise("PROD", update, difference))]

    return _loop(ctx, op, [op.state], step, op.reverse)


@lowering("tensorrt", ops.Lstm)
def lstm(ctx: TensorRTLowering, op: ops.Lstm) -> tuple[ITensor, ...]:
    """Two states; with a projection the one that is fed back is smaller than the cell."""

    def step(x: ITensor, states: States) -> States:
        state, cell = states
        total = ctx.elementwise("SUM", x, _fed_back(ctx, op, state))
        names = ("SIGMOID", "SIGMOID", "TANH", "SIGMOID")
        i, f, g, o = (
            _activated(ctx, _gate(ctx, op, total, k), name) for k, name in enumerate(names)
        )
        kept = ctx.elementwise("PROD", f, cell)
        new = ctx.elementwise("SUM", kept, ctx.elementwise("PROD", i, g))
        shown = ctx.elementwise("PROD", o, _activated(ctx, new, "TANH"))
        if op.projection is not None:
            shown = product(ctx, shown, ctx[op.projection], transpose_b=True)
        return [shown, new]

    return _loop(ctx, op, [op.state, op.cell], step, op.reverse)


def _loop(
    ctx: TensorRTLowering,
    op: ops.recurrent.Recurrent,
    first: Sequence[Value],
    step: Step,
    reverse: bool,
) -> tuple[ITensor, ...]:
    """All results of the first state, and the last of every state.

    The product with the input's weight and the biases do not depend on states: they are computed
    for all steps at once before the loop.
    """
    fed = product(ctx, ctx[op.x], ctx.ranked(op.input_weight, 3), transpose_b=True)
    if op.input_bias is not None:
        fed = ctx.elementwise("SUM", fed, ctx.ranked(op.input_bias, 3))
        if op.recurrent_bias is not None and not isinstance(op, ops.Gru):
            fed = ctx.elementwise("SUM", fed, ctx.ranked(op.recurrent_bias, 3))
    limit = size(ctx, op.x.type.shape[1], ctx.sizes.dtype, 0)
    starts = [ctx[value] for value in first]
    loop = ctx.network.add_loop()
    ctx.check("loop", loop)
    _named(ctx, loop.add_trip_limit(limit, ctx.trt.TripLimit.COUNT), "trip_limit")
    part = ctx.output(_named(ctx, loop.add_iterator(fed, 1, reverse), "iterator"))
    states = [
        _named(ctx, loop.add_recurrence(start), f"state{index}")
        for index, start in enumerate(starts)
    ]
    news = step(part, [ctx.output(state) for state in states])
    for state, new in zip(states, news, strict=True):
        ctx.set_input(state, 1, new)
    kinds = ctx.trt.LoopOutput
    # Reversed results are put at the places of their steps again.
    kind = kinds.REVERSE if reverse else kinds.CONCATENATE
    sequence = _named(ctx, loop.add_loop_output(news[0], kind, 1), "sequence")
    ctx.set_input(sequence, 1, limit)
    last = [
        _named(ctx, loop.add_loop_output(ctx.output(state), kinds.LAST_VALUE, 0), f"last{index}")
        for index, state in enumerate(states)
    ]
    return (ctx.output(sequence), *(ctx.output(one) for one in last))


def _named(ctx: TensorRTLowering, layer: ILayer, what: str) -> ILayer:
    """A layer of the loop, which the network's own methods do not add, under the node's name."""
    ctx.check(what, layer)
    if ctx.node is not None:
        layer.name = f"{ctx.node.name}/{what}"
        layer.metadata = ctx.node.name
    return layer


def _fed_back(ctx: TensorRTLowering, op: ops.recurrent.Recurrent, state: ITensor) -> ITensor:
    return product(ctx, state, ctx[op.recurrent_weight], transpose_b=True)


def _gate(
    ctx: TensorRTLowering, op: ops.recurrent.Recurrent, gates: ITensor, index: int
) -> ITensor:
    hidden = op.hidden()
    shape = (op.x.type.shape[0], hidden * op.gates)
    return ctx.slice(gates, shape, {1: (hidden * index, hidden, 1)})


def _activated(ctx: TensorRTLowering, tensor: ITensor, name: str) -> ITensor:
    return ctx("activation", tensor, getattr(ctx.trt.ActivationType, name))
