"""Tensors with the length before the batch, as the plugin for attention with a mask wants them.

What acts on tokens one by one does not care in which order they lie. So lowerings of this pack hand
such tensors on to one another, beside those in the graph's order: the compiler drops whichever
nobody reads, and of a whole encoder only its ends are transposed.
"""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import Value
from fwd_core.ir.types import Shape

_ORDER = (1, 0, 2)


def known(ctx: TensorRTLowering, value: Value) -> ITensor | None:
    """The tensor of a value with its first two axes swapped, if there is one."""
    return ctx.memo.get(("turned", value))


def turned(ctx: TensorRTLowering, value: Value) -> ITensor:
    """The same, made if it has to be."""
    key = "turned", value
    if key not in ctx.memo:
        offered = ctx.memo.get(("offered", value))
        ctx.memo[key] = ctx.transpose(ctx[value], _ORDER) if offered is None else offered
    return ctx.memo[key]


def shape(value: Value) -> Shape:
    """The shape of the turned tensor of a value."""
    batch, length, *rest = value.type.shape
    return (length, batch, *rest)


def handed_on(ctx: TensorRTLowering, tensor: ITensor) -> ITensor:
    """The result of the node under way in the graph's order, after it was made in the other."""
    assert ctx.node is not None
    ctx.memo["turned", ctx.node.output] = tensor
    return ctx.transpose(tensor, _ORDER)


def offered(ctx: TensorRTLowering, tensor: ITensor) -> ITensor:
    """As :func:`handed_on`, for those alone that would transpose the result themselves."""
    assert ctx.node is not None
    ctx.memo["offered", ctx.node.output] = tensor
    return ctx.transpose(tensor, _ORDER)
