"""Resampling at other sizes."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering, static
from fwd_core.ir import ops
from fwd_core.ir.ops.resize import CUBIC_COEFFICIENT
from fwd_core.plugins.markers import lowering

_MODES = {"nearest": "NEAREST", "nearest_exact": "NEAREST", "linear": "LINEAR", "cubic": "CUBIC"}


def _beyond_layer(ctx: TensorRTLowering, op: ops.Resize) -> str | None:
    """Resize layers are told sizes, compute floats, and their cubic mode has two spatial axes."""
    if not op.x.type.dtype.is_float:
        return "resize layers are for floats"
    if not op.plain:
        return "the sizes do not tell where elements are read"
    if op.mode == "cubic" and op.x.type.rank != 4:
        return "cubic layers have two spatial axes"
    heavy = op.mode == "cubic" or (op.mode == "linear" and op.x.type.rank != 4)
    if heavy and ctx.features.ahead_of_time and not op.x.type.is_static:
        return f"TensorRT-RTX 1.7 compiles such a layer of {op.x.type} for minutes"
    return None


@lowering("tensorrt", ops.Resize, unless=_beyond_layer)
def resize(ctx: TensorRTLowering, op: ops.Resize) -> ITensor:
    """A resize layer. Positions of ``nearest_exact`` are rounded half up."""
    transformation, rounding = ctx.trt.ResizeCoordinateTransformation, ctx.trt.ResizeRoundMode
    coordinates = transformation.HALF_PIXEL
    if op.align_corners:
        coordinates = transformation.ALIGN_CORNERS
    elif op.mode == "nearest":
        coordinates = transformation.ASYMMETRIC
    shape = op.infer().shape
    settings: dict[str, object] = {"cubic_coeff": CUBIC_COEFFICIENT} if op.mode == "cubic" else {}
    if op.mode.startswith("nearest"):
        floor = op.mode == "nearest"
        settings["nearest_rounding"] = rounding.FLOOR if floor else rounding.HALF_UP
    dynamic = any(not isinstance(dim, int) for dim in shape)
    if not dynamic:
        settings["shape"] = static(shape)
    layer = ctx.add(
        "resize",
        ctx[op.x],
        resize_mode=getattr(ctx.trt.InterpolationMode, _MODES[op.mode]),
        coordinate_transformation=coordinates,
        **settings,
    )
    if dynamic:
        ctx.set_input(layer, 1, ctx.sizes.shape(shape))
    return ctx.output(layer)
