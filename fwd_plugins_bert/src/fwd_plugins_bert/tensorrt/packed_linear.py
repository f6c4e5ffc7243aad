"""Products between attentions without padding, as convolutions of one pixel, on TensorRT 8."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.activation import half_gelu
from fwd_core.plugins.markers import lowering
from fwd_plugins_bert.ops import PackedLinear
from fwd_plugins_bert.tensorrt import packed_skip_norm, products


@lowering("tensorrt", PackedLinear, unless=packed_skip_norm.refusal)
def packed_linear(ctx: TensorRTLowering, op: PackedLinear) -> ITensor:
    """A convolution, and GELU in steps that are merged into it."""
    weight, bias = op.weight.constant, None if op.bias is None else op.bias.constant
    assert weight is not None
    result = products.convolved(ctx, ctx[op.x], op.x.type.shape, weight, bias)
    return result if op.activation == "identity" else half_gelu(ctx, result, 2)
