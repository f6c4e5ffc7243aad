"""Activations: a layer each, which TensorRT fuses into the layers before them."""

from __future__ import annotations

import math

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.numbers import activation, number
from fwd_core.ir import DType, ops
from fwd_core.plugins.markers import lowering

#: Axes of tokens: of the batch, of the sequence, of features.
_TOKENS = 3


@lowering("tensorrt", ops.Sigmoid)
def sigmoid(ctx: TensorRTLowering, op: ops.Sigmoid) -> ITensor:
    """Logistic function."""
    return activation(ctx, "SIGMOID", ctx[op.x])


@lowering("tensorrt", ops.Silu)
def silu(ctx: TensorRTLowering, op: ops.Silu) -> ITensor:
    """``x * sigmoid(x)``: compilers fuse the two."""
    return ctx.elementwise("PROD", ctx[op.x], activation(ctx, "SIGMOID", ctx[op.x]))


@lowering("tensorrt", ops.LeakyRelu)
def leaky_relu(ctx: TensorRTLowering, op: ops.LeakyRelu) -> ITensor:
    """Relu with a slope below zero."""
    return activation(ctx, "LEAKY_RELU", ctx[op.x], alpha=op.alpha)


@lowering("tensorrt", ops.Gelu)
def gelu(ctx: TensorRTLowering, op: ops.Gelu) -> ITensor:
    """An activation where there is one, else the formula; that of half is by tanh.

    Beside tensors of 8 bits only that of tokens beside attention is, as in BERT. Elsewhere it is
    what the model says: for linear layers with the other TensorRT 8.6 finds no kernel
    (docs/explanation/limits.md).
    """
    x, dtype, rank = ctx[op.x], op.x.type.dtype, op.x.type.rank
    tanh_form = op.approximate == "tanh"
    if ctx.features.gelu:
        return activation(ctx, "GELU_TANH" if tanh_form else "GELU_ERF", x)
    if dtype is DType.FLOAT16 and (not ctx.bytewise or (ctx.attends and rank == _TOKENS)):
        return half_gelu(ctx, x, rank)

    def times(tensor: ITensor, factor: float) -> ITensor:
        return ctx.elementwise("PROD", tensor, ctx.scalar(factor, dtype, rank))

    def plus(tensor: ITensor, summand: float) -> ITensor:
        return ctx.elementwise("SUM", tensor, ctx.scalar(summand, dtype, rank))

    if tanh_form:
        squared = ctx.elementwise("PROD", x, x)
        slope = times(plus(times(squared, 0.044715), 1.0), math.sqrt(2.0 / math.pi))
        inner = activation(ctx, "TANH", ctx.elementwise("PROD", x, slope))
    else:
        inner = ctx.unary("ERF", times(x, math.sqrt(0.5)))
    return ctx.elementwise("PROD", times(x, 0.5), plus(inner, 1.0))


def half_gelu(ctx: TensorRTLowering, x: ITensor, rank: int) -> ITensor:
    """``x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2`` of half, with a power, on TensorRT 8.

    TensorRT 8 has something quicker for these steps (the approximation of Hendrycks and Gimpel,
    2016) than for ``erf``, which took a tenth of BERT's time. The two differ by 5e-4 at most, and
    BERT's results in half were as near to those of float32 with either.
    """
    dtype = DType.FLOAT16

    def with_number(operation: str, tensor: ITensor, value: float) -> ITensor:
        return ctx.elementwise(operation, tensor, ctx.scalar(value, dtype, rank))

    cubed = with_number("PROD", with_number("POW", x, 3.0), 0.044715)
    inner = with_number("PROD", ctx.elementwise("SUM", x, cubed), math.sqrt(2.0 / math.pi))
    part = with_number("SUM", activation(ctx, "TANH", inner), 1.0)
    return ctx.elementwise("PROD", with_number("PROD", part, 0.5), x)


@lowering("tensorrt", ops.Relu)
def relu(ctx: TensorRTLowering, op: ops.Relu) -> ITensor:
    """``max(x, 0)``."""
    if op.x.type.dtype.is_float:
        return activation(ctx, "RELU", ctx[op.x])
    return ctx.elementwise("MAX", ctx[op.x], number(ctx, 0, op.x.type))


@lowering("tensorrt", ops.Elu)
def elu(ctx: TensorRTLowering, op: ops.Elu) -> ITensor:
    """Exponential linear unit, plain or scaled."""
    if op.scale == 1.0:
        return activation(ctx, "ELU", ctx[op.x], alpha=op.alpha)
    return activation(ctx, "SELU", ctx[op.x], alpha=op.alpha, beta=op.scale)


@lowering("tensorrt", ops.PRelu)
def prelu(ctx: TensorRTLowering, op: ops.PRelu) -> ITensor:
    """A layer of its own, whose slopes may be given at run time; it wants an axis."""
    if op.x.type.rank:
        return ctx("parametric_relu", *ctx.aligned(op.x, op.slope))
    x, slope = (ctx.unsqueeze(ctx[value], (), (0,)) for value in (op.x, op.slope))
    return ctx.reshape(ctx("parametric_relu", x, slope), (1,), ())
