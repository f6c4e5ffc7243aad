"""Operators that order the elements of an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import floats
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import sorting as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


@lowering("openvino", ops.TopK)
def top_k(ctx: OpenVINOLowering, op: ops.TopK) -> tuple[Output, Output]:
    """TopK, stable, which is exact for integers. It counts a NaN as infinite."""
    x, opset = ctx[op.x], ctx.opset
    key = x
    if op.x.type.dtype.is_float:
        # OpenVINO's order of NaNs is none.
        key = floats.unless_nan(opset, x, floats.constant(opset, float("inf")), x)
    mode = "max" if op.largest else "min"
    found = opset.topk(
        key, ctx.scalar(op.k), op.axis, mode, "value", index_element_type="i32", stable=True
    )
    values, places = found.output(0), found.output(1)
    if op.x.type.dtype.is_float:
        values = opset.gather_elements(x, places, op.axis).output(0)
    return values, places
