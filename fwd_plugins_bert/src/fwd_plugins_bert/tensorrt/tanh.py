"""GELU of half by tanh, in the steps that TensorRT 8 takes into the product before it."""

from __future__ import annotations

import math

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import activation as core
from fwd_core.backends.tensorrt.numbers import activation
from fwd_core.ir import DType, ops
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.tensorrt import turning
from fwd_plugins_bert.tensorrt.choice import chosen


@lowering("tensorrt", ops.Gelu, override=True)
def gelu(ctx: TensorRTLowering, op: ops.Gelu) -> ITensor:
    """``x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2``, with a power; else as the core does."""
    other = turning.known(ctx, op.x)
    if other is None:
        return _formula(ctx, op)
    kept = ctx[op.x]
    ctx[op.x] = other  # the formula does not care for the order of tokens
    result = _formula(ctx, op)
    ctx[op.x] = kept
    return turning.handed_on(ctx, result)


def _formula(ctx: TensorRTLowering, op: ops.Gelu) -> ITensor:
    dtype = op.x.type.dtype
    if "tanh" not in chosen() or dtype is not DType.FLOAT16 or ctx.features.gelu:
        return core.gelu(ctx, op)
    return by_tanh(ctx, ctx[op.x], dtype, op.x.type.rank)


def by_tanh(ctx: TensorRTLowering, x: ITensor, dtype: DType, rank: int) -> ITensor:
    """The layers."""

    def with_number(operation: str, tensor: ITensor, value: float) -> ITensor:
        return ctx.elementwise(operation, tensor, ctx.scalar(value, dtype, rank))

    cubed = with_number("PROD", with_number("POW", x, 3.0), 0.044715)
    inner = with_number("PROD", ctx.elementwise("SUM", x, cubed), math.sqrt(2.0 / math.pi))
    part = with_number("SUM", activation(ctx, "TANH", inner), 1.0)
    return ctx.elementwise("PROD", with_number("PROD", part, 0.5), x)
