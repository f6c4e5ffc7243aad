"""Normalization of residual sums, by a kernel of our own."""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import DType
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.kernels import norms
from fwd_plugins_bert.ops import SkipNorm
from fwd_plugins_bert.tensorrt.own import NAMESPACE
from fwd_plugins_bert.tensorrt.own.base import arrays
from fwd_plugins_bert.tensorrt.own.classes import SKIP_NORM
from fwd_plugins_bert.tensorrt.own.lowering import compiles, refusal


def _refuses(ctx: Any, op: SkipNorm) -> str | None:
    return refusal(ctx, op.x)


@lowering("tensorrt", SkipNorm, unless=_refuses)
def skip_norm(ctx: TensorRTLowering, op: SkipNorm) -> ITensor:
    """``ForwardSkipNorm``: parameters are inputs, constant or not."""
    width = op.x.type.shape[-1]
    assert isinstance(width, int)
    there = {name: getattr(op, name) is not None for name in ("bias", "scale", "shift")}
    compiles(norms.Norm(width, op.x.type.dtype is DType.FLOAT16, **there))
    fields = arrays(SKIP_NORM, {**SKIP_NORM, "epsilon": op.epsilon, **there})
    values = (op.x, op.skip, op.bias, op.scale, op.shift)
    inputs = [ctx[value] for value in values if value is not None]
    return ctx.output(ctx.plugin_v3(NAMESPACE, "ForwardSkipNorm", fields, inputs))
