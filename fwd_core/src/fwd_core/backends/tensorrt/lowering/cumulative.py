"""Operators whose every element is of all elements before it."""

from __future__ import annotations

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.numbers import wrapped
from fwd_core.ir import ops
from fwd_core.ir.tensor import Tensor
from fwd_core.plugins.markers import lowering


def _no_layer(ctx: TensorRTLowering, _op: ops.CumSum) -> str | None:
    """The layer came with TensorRT 10.8."""
    return None if ctx.features.cumulative else f"{ctx.features.flavour} here has no such layer"


@lowering("tensorrt", ops.CumSum, unless=_no_layer)
def cum_sum(ctx: TensorRTLowering, op: ops.CumSum) -> ITensor:
    """A cumulative layer, as of TensorRT 10.8; sums of floats in float32."""

    def summed(x: ITensor) -> ITensor:
        axis = ctx.constant(Tensor(np.array(op.axis, np.int32)))
        return ctx("cumulative", x, axis, ctx.trt.CumulativeOperation.SUM, False, False)

    if op.x.type.dtype.is_float:
        return ctx.in_float32(ctx[op.x], op.x.type.dtype, summed)
    return wrapped(ctx, summed(ctx[op.x]), op.x.type)
