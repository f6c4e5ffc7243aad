"""Products with constant weights: as layers of their own kind, or as convolutions of one pixel.

TensorRT 8 has kernels for the latter that take an activation along, which it uses where its second
compiler does not take a whole network, as where plugins part it.
"""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import linear as core
from fwd_core.backends.tensorrt.weights import weights
from fwd_core.ir import DType, Tensor, ops
from fwd_core.ir.dims import product
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.tensorrt import turning
from fwd_plugins_bert.tensorrt.choice import chosen


@lowering("tensorrt", ops.Linear, override=True)
def linear(ctx: TensorRTLowering, op: ops.Linear) -> ITensor:
    """As a convolution in float16 on TensorRT 8 if asked for, else as the core does."""
    weight, bias = op.weight.constant, None if op.bias is None else op.bias.constant
    known = weight is not None and (bias is None) == (op.bias is None)
    waiting = ("empty rows", ctx.node) in ctx.memo
    convolves = known and not waiting and op.x.type.rank > 1 and _convolves(ctx, op.x.type.dtype)
    other = turning.known(ctx, op.x)
    x, shape = ctx[op.x], op.x.type.shape
    if other is not None:
        x, shape = other, turning.shape(op.x)
    if convolves:
        assert weight is not None
        result = convolved(ctx, x, shape, weight, bias)
    elif other is None:
        return core.linear(ctx, op)
    else:
        result = core.product(ctx, x, ctx.ranked(op.weight, 3), transpose_b=True)
        if waiting:
            some, lead = ctx.memo["empty rows", ctx.node]
            some = ctx.reshape(some, lead, (1, lead[0], 1))
            result = ctx("select", some, result, ctx.scalar(0.0, op.x.type.dtype, 3))
        if op.bias is not None:
            result = ctx.elementwise("SUM", result, ctx.ranked(op.bias, 3))
    return result if other is None else turning.handed_on(ctx, result)


def _convolves(ctx: TensorRTLowering, dtype: DType, names: tuple[str, ...] = ("fc",)) -> bool:
    return (
        not set(names).isdisjoint(chosen())
        and dtype is DType.FLOAT16
        and ctx.features.plain_attention
    )


def projected(
    ctx: TensorRTLowering,
    x: ITensor,
    shape: Shape,
    weight: Tensor,
    bias: Tensor | None,
    forms: tuple[str, ...] = ("fc",),
) -> ITensor:
    """The product of a tensor [..., in] with a weight [out, in], and the bias [out].

    It is a convolution where one of ``forms`` is asked for.
    """
    if _convolves(ctx, weight.dtype, forms):
        return convolved(ctx, x, shape, weight, bias)

    def ranked(tensor: Tensor) -> ITensor:
        lead = (1,) * (len(shape) - tensor.data.ndim)
        return ctx.constant(Tensor(tensor.data.reshape(*lead, *tensor.data.shape), tensor.dtype))

    result = core.product(ctx, x, ranked(weight), transpose_b=True)
    return result if bias is None else ctx.elementwise("SUM", result, ranked(bias))


def convolved(
    ctx: TensorRTLowering, x: ITensor, shape: Shape, weight: Tensor, bias: Tensor | None
) -> ITensor:
    """The same in half, as a convolution of one pixel."""
    *lead, features = shape
    rows, maps = product(lead), weight.shape[0]
    pixels = ctx.reshape(x, shape, (rows, features, 1, 1))
    kernel = weights(ctx, Tensor(weight.data.reshape(*weight.shape, 1, 1), weight.dtype))
    held = weights(ctx, bias, weight.dtype)
    result = ctx("convolution_nd", pixels, maps, (1, 1), kernel, held)
    return ctx.reshape(result, (rows, maps, 1, 1), (*lead, maps))
