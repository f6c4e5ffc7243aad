"""Operators whose every element is of all elements before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import cumulative as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


@lowering("openvino", ops.CumSum)
def cum_sum(ctx: OpenVINOLowering, op: ops.CumSum) -> Output:
    """CumSum, which is exact for integers."""
    sums = ctx.opset.cumsum(ctx[op.x], ctx.scalar(op.axis)).output(0)
    return integers.wrapped(ctx.opset, sums, op.x.type.dtype)
