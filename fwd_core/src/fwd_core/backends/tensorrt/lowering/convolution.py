"""Convolutions."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.weights import weights
from fwd_core.ir import ops
from fwd_core.ir.graph import Value
from fwd_core.plugins.markers import lowering


def _dynamic_weight(_ctx: TensorRTLowering, op: ops.Convolution) -> str | None:
    if op.weight.type.is_static:
        return None
    return f"a convolution's weight needs a static shape, this one is {op.weight.type}"


@lowering("tensorrt", ops.Convolution, unless=_dynamic_weight)
def convolution(ctx: TensorRTLowering, op: ops.Convolution) -> ITensor:
    """A convolution layer; over one axis it is a convolution over two, of which one has size 1.

    Constant weights are the layer's own; others are further inputs of it.
    """
    flat = op.x.type.rank == 3
    maps, _, *kernel = op.weight.type.static_shape()
    lead = (1,) if flat else ()
    x = ctx.unsqueeze(ctx[op.x], op.x.type.shape, (2,)) if flat else ctx[op.x]
    layer = ctx.add(
        "convolution_nd",
        x,
        maps,
        (*lead, *kernel),
        _held(ctx, op.weight, op.weight),
        _held(ctx, op.bias, op.weight),
        stride_nd=(*lead, *op.stride),
        pre_padding=(*(0 for _ in lead), *op.padding_before),
        post_padding=(*(0 for _ in lead), *op.padding_after),
        dilation_nd=(*lead, *op.dilation),
        num_groups=op.groups,
    )
    if op.weight.constant is None:
        weight, shape = ctx[op.weight], op.weight.type.shape
        ctx.set_input(layer, 1, ctx.unsqueeze(weight, shape, (2,)) if flat else weight)
    if op.bias is not None and op.bias.constant is None:
        ctx.set_input(layer, 2, ctx[op.bias])
    result = ctx.output(layer)
    if not flat:
        return result
    batch, channels, length = op.infer().shape
    return ctx.reshape(result, (batch, channels, 1, length), (batch, channels, length))


def _held(ctx: TensorRTLowering, value: Value | None, like: Value) -> object:
    constant = None if value is None else value.constant
    return weights(ctx, constant, like.type.dtype)
