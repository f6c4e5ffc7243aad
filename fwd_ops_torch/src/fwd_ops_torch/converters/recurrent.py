"""Converters of recurrent networks: whole layers over sequences, and single cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, Operator, Value, is_equal, ops
from fwd_ops_torch.converting import ConversionContext, converts

#: Weights of one layer in one direction, as torch lists them; no biases are None.
Weights = tuple[Value, Value, "Value | None", "Value | None"]
#: Makes the operator of one layer: x, first states, weights, projection, direction.
Make = Callable[[Value, Sequence[Value], Weights, "Value | None", bool], Operator]


@converts("aten::lstm")
def lstm(
    ctx: ConversionContext,
    x: Value,
    hx: Sequence[Value],
    params: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
    batch_sizes: Value | None = None,
) -> tuple[Value, ...]:
    """aten::lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor, Tensor).

    Layers, directions and projections; hx holds the first h and c. Floats.
    """
    _refuse_packed(ctx, batch_sizes)
    _refuse_dropout(ctx, dropout, train, num_layers)
    if len(hx) != 2:
        raise ConversionError("lstm: hx holds two states", got=len(hx))
    projects = hx[0].type.shape[-1:] != hx[1].type.shape[-1:]

    def make(
        x: Value, states: Sequence[Value], weights: Weights, project: Value | None, back: bool
    ) -> Operator:
        return ops.Lstm(x, states[0], *weights, states[1], project, back)

    return _layers(
        ctx, make, x, hx, params, has_biases, num_layers, bidirectional, batch_first, projects
    )


def _of_one_state(module_name: str, make: Make, text: str) -> Callable[..., tuple[Value, ...]]:
    """A converter of ``aten::name``, whose hx is one state."""
    name = text.split(maxsplit=1)[0]

    @converts(f"aten::{name}")
    def convert(
        ctx: ConversionContext,
        x: Value,
        hx: Value,
        params: Sequence[Value],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool = False,
        batch_sizes: Value | None = None,
    ) -> tuple[Value, ...]:
        _refuse_packed(ctx, batch_sizes)
        _refuse_dropout(ctx, dropout, train, num_layers)
        return _layers(
            ctx, make, x, [hx], params, has_biases, num_layers, bidirectional, batch_first, False
        )

    convert.__name__ = convert.__qualname__ = name
    convert.__module__ = module_name
    convert.__doc__ = (
        f"aten::{name}.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, "
        "int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) -> "
        f"(Tensor, Tensor).\n\nLayers and directions; hx is the first state. Floats."
    )
    return convert


gru = _of_one_state(
    __name__, lambda x, states, weights, _, back: ops.Gru(x, states[0], *weights, back), "gru"
)
rnn_tanh = _of_one_state(
    __name__,
    lambda x, states, weights, _, back: ops.Rnn(x, states[0], *weights, "tanh", back),
    "rnn_tanh",
)
rnn_relu = _of_one_state(
    __name__,
    lambda x, states, weights, _, back: ops.Rnn(x, states[0], *weights, "relu", back),
    "rnn_relu",
)


@converts("aten::lstm_cell")
def lstm_cell(
    ctx: ConversionContext,
    x: Value,
    hx: Sequence[Value],
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> tuple[Value, Value]:
    """aten::lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> (Tensor, Tensor).

    Floats; [batch, in], or [in] of one sequence.
    """
    if len(hx) != 2:
        raise ConversionError("lstm_cell: hx holds two states", got=len(hx))
    state, cell = hx
    _require_cell(ctx, x, state, cell)
    total = ctx.emit(ops.Add(*_products(ctx, x, state, (w_ih, w_hh, b_ih, b_hh))), "gates")
    i, f, g, o = _gates(ctx, total, 4)
    kept = ctx.emit(ops.Mul(ctx.emit(ops.Sigmoid(f)), cell), "kept")
    written = ctx.emit(ops.Mul(ctx.emit(ops.Sigmoid(i)), ctx.emit(ops.Tanh(g))), "written")
    new = ctx.emit(ops.Add(kept, written), "cell")
    return ctx.emit(ops.Mul(ctx.emit(ops.Sigmoid(o)), ctx.emit(ops.Tanh(new))), "state"), new


@converts("aten::gru_cell")
def gru_cell(
    ctx: ConversionContext,
    x: Value,
    hx: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:
    """aten::gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor."""
    _require_cell(ctx, x, hx)
    fed, back = _products(ctx, x, hx, (w_ih, w_hh, b_ih, b_hh))
    (r, z, n), (r_back, z_back, n_back) = _gates(ctx, fed, 3), _gates(ctx, back, 3)
    reset = ctx.emit(ops.Sigmoid(ctx.emit(ops.Add(r, r_back))), "reset")
    update = ctx.emit(ops.Sigmoid(ctx.emit(ops.Add(z, z_back))), "update")
    new = ctx.emit(ops.Tanh(ctx.emit(ops.Add(n, ctx.emit(ops.Mul(reset, n_back))))), "new")
    difference = ctx.emit(ops.Sub(hx, new), "difference")
    return ctx.emit(ops.Add(new, ctx.emit(ops.Mul(update, difference))), "state")


@converts("aten::rnn_tanh_cell", "aten::rnn_relu_cell")
def rnn_cell(
    ctx: ConversionContext,
    x: Value,
    hx: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> Value:
    """aten::rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor."""
    _require_cell(ctx, x, hx)
    total = ctx.emit(ops.Add(*_products(ctx, x, hx, (w_ih, w_hh, b_ih, b_hh))), "total")
    return ctx.emit(ops.Tanh(total) if "tanh" in ctx.operator else ops.Relu(total))


def _layers(
    ctx: ConversionContext,
    make: Make,
    x: Value,
    hx: Sequence[Value],
    params: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    projects: bool,
) -> tuple[Value, ...]:
    """The sequence of the last layer, then for each kind of state the last of every layer."""
    directions = 1 + bidirectional
    cells = num_layers * directions
    each = 2 + 2 * has_biases + projects
    if x.type.rank != 3 or any(state.type.rank != 3 for state in hx):
        raise ConversionError(
            f"{ctx.operator}: the input and the states have 3 axes",
            got=", ".join(str(value.type) for value in (x, *hx)),
        )
    if len(params) != cells * each or any(not is_equal(s.type.shape[0], cells) for s in hx):
        raise ConversionError(
            f"{ctx.operator}: weights and states for every layer and direction",
            expected=f"{cells * each} weights, {cells} states",
            got=f"{len(params)} weights, {', '.join(str(state.type) for state in hx)}",
        )
    value = x if batch_first else ctx.emit(ops.Transpose(x, (1, 0, 2)), "batches")
    last: list[list[Value]] = [[] for _ in hx]
    for layer in range(num_layers):
        sequences = []
        for direction in range(directions):
            cell = layer * directions + direction
            w_ih, w_hh, *rest = params[cell * each : (cell + 1) * each]
            project = rest.pop() if projects else None
            biases = (rest[0], rest[1]) if has_biases else (None, None)
            states = [_state(ctx, one, cell) for one in hx]
            op = make(value, states, (w_ih, w_hh, *biases), project, direction == 1)
            sequence, *news = ctx.emit_all(op, f"layer{layer}" + "_reverse" * direction)
            sequences.append(sequence)
            for held, new in zip(last, news, strict=True):
                held.append(ctx.emit(ops.Unsqueeze(new, (0,)), "last"))
        value = sequences[0]
        if directions == 2:
            value = ctx.emit(ops.Concat(tuple(sequences), 2), f"layer{layer}")
    if not batch_first:
        value = ctx.emit(ops.Transpose(value, (1, 0, 2)), "sequence")
    return (value, *(h[0] if cells == 1 else ctx.emit(ops.Concat(tuple(h), 0)) for h in last))


def _state(ctx: ConversionContext, states: Value, cell: int) -> Value:
    one = ctx.emit(ops.Slice(states, 0, cell, 1), "state")
    return ctx.emit(ops.Squeeze(one, (0,)), "state")


def _products(
    ctx: ConversionContext, x: Value, state: Value, weights: Weights
) -> tuple[Value, Value]:
    """The gates' part of the input, and that of the state."""
    w_ih, w_hh, b_ih, b_hh = weights
    return (
        ctx.emit(ops.Linear(x, w_ih, b_ih), "input"),
        ctx.emit(ops.Linear(state, w_hh, b_hh), "recurrent"),
    )


def _gates(ctx: ConversionContext, gates: Value, count: int) -> list[Value]:
    axis = gates.type.rank - 1
    width = ctx.static(gates.type.shape[axis], "w_ih")
    if width % count:
        raise ConversionError(
            f"{ctx.operator}: weights hold {count} gates of one size",
            expected=f"a multiple of {count} rows",
            got=width,
        )
    size: Dim = width // count
    return [ctx.emit(ops.Slice(gates, axis, k * size, size), "gate") for k in range(count)]


def _require_cell(ctx: ConversionContext, x: Value, *states: Value) -> None:
    for state in states:
        if (
            x.type.rank != 2
            or state.type.rank != 2
            or not is_equal(x.type.shape[0], state.type.shape[0])
        ):
            raise ConversionError(
                f"{ctx.operator}: the input and the states have 2 axes and one batch",
                got=f"{x.type}, {state.type}",
            )


def _refuse_packed(ctx: ConversionContext, batch_sizes: Value | None) -> None:
    if batch_sizes is not None:
        raise ctx.unsupported(
            "batch_sizes",
            "packed sequences have as many sequences at each step as data says",
            "call the module with padded sequences, and mask its results by their lengths",
        )


def _refuse_dropout(ctx: ConversionContext, dropout: float, train: bool, num_layers: int) -> None:
    if train and dropout and num_layers > 1:
        raise ctx.unsupported("train", "dropout between layers is random", "call model.eval()")
