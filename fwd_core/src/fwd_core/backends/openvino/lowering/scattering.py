"""Operators that put elements at places that index tensors say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import scattering as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


@lowering("openvino", ops.ScatterElements)
def scatter_elements(ctx: OpenVINOLowering, op: ops.ScatterElements) -> Output:
    """ScatterElementsUpdate."""
    operands = (ctx[op.x], ctx[op.indices], ctx[op.updates], ctx.scalar(op.axis))
    result = ctx.opset.scatter_elements_update(*operands, reduction=op.combination)
    return integers.wrapped(ctx.opset, result.output(0), op.x.type.dtype)


@lowering("openvino", ops.ScatterND)
def scatter_nd(ctx: OpenVINOLowering, op: ops.ScatterND) -> Output:
    """ScatterNDUpdate."""
    operands = (ctx[op.x], ctx[op.indices], ctx[op.updates])
    result = ctx.opset.scatter_nd_update(*operands, reduction=op.combination)
    return integers.wrapped(ctx.opset, result.output(0), op.x.type.dtype)
