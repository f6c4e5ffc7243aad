"""Resampling at other sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import resize as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output

_MODES = {
    "nearest": ("nearest", "asymmetric", "floor"),
    "nearest_exact": ("nearest", "half_pixel", "round_prefer_ceil"),
    "linear": ("linear_onnx", "half_pixel", "floor"),
    "cubic": ("cubic", "half_pixel", "floor"),
}


def beyond_interpolate(_ctx: OpenVINOLowering, op: ops.Resize) -> str | None:
    """Interpolate is told sizes, computes floats, and its cubic mode has two spatial axes."""
    if not op.x.type.dtype.is_float:
        return "Interpolate is for floats"
    if not op.plain:
        return "the sizes do not tell where elements are read"
    if op.x.type.rank > 5 or (op.mode == "cubic" and op.x.type.rank != 4):
        return f"mode {op.mode} of {op.x.type.rank} axes"
    return None


@lowering("openvino", ops.Resize, unless=beyond_interpolate)
def resize(ctx: OpenVINOLowering, op: ops.Resize) -> Output:
    """Interpolate."""
    mode, coordinates, rounding = _MODES[op.mode]
    axes = range(2, op.x.type.rank)
    return ctx.opset.interpolate(
        ctx[op.x],
        ctx.vector(op.size),
        mode,
        "sizes",
        coordinate_transformation_mode="align_corners" if op.align_corners else coordinates,
        nearest_mode=rounding,
        cube_coeff=ops.CUBIC_COEFFICIENT,
        axes=ctx.vector(axes),
    ).output(0)
