"""Reading at positions that are data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import sampling as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output

_MODES = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}


def volume(_ctx: OpenVINOLowering, op: ops.GridSample) -> str | None:
    """OpenVINO samples images only."""
    return None if op.x.type.rank == 4 else "GridSample has two spatial axes"


@lowering("openvino", ops.GridSample, unless=volume)
def grid_sample(ctx: OpenVINOLowering, op: ops.GridSample) -> Output:
    """GridSample."""
    attributes = {
        "align_corners": op.align_corners,
        "mode": _MODES[op.mode],
        "padding_mode": op.padding_mode,
    }
    return ctx.opset.grid_sample(ctx[op.x], ctx[op.grid], attributes).output(0)
