"""GELU with a bias, by NVIDIA's plugin: always by tanh."""

from __future__ import annotations

from typing import Any

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import DType
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import GeluBias
from fwd_plugins_bert.tensorrt import common, turning


def _refuses(ctx: Any, op: GeluBias) -> str | None:
    # In half, the two forms differ by no more than the last bit of numbers near 1.
    if op.approximate == "none" and op.x.type.dtype is not DType.FLOAT16:
        return "the plugin computes GELU by tanh, which is told apart in float32"
    return common.refusal(ctx, op.x, op.bias)


@lowering("tensorrt", GeluBias, unless=_refuses)
def gelu_bias(ctx: TensorRTLowering, op: GeluBias) -> ITensor:
    """``CustomGeluPluginDynamic``."""
    dtype = op.x.type.dtype
    # Some versions copy the bias as it is, so it is given in the type of the tensors.
    bias = common.floats(op.bias).astype(np.float16 if dtype is DType.FLOAT16 else np.float32)
    fields = {"type_id": common.type_id(dtype), "bias": bias}
    other = turning.known(ctx, op.x)
    x = ctx[op.x] if other is None else other
    result = ctx.output(ctx.plugin("CustomGeluPluginDynamic", "1", fields, [x]))
    return result if other is None else turning.handed_on(ctx, result)
