"""Reading at positions that are data."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import ops
from fwd_core.plugins.markers import lowering

_MODES = {"linear": "LINEAR", "nearest": "NEAREST", "cubic": "CUBIC"}
_OUTSIDE = {"zeros": "FILL", "border": "CLAMP", "reflection": "REFLECT"}


def _volume(_ctx: TensorRTLowering, op: ops.GridSample) -> str | None:
    """Grid sample layers have two spatial axes."""
    return None if op.x.type.rank == 4 else "grid sample layers have two spatial axes"


@lowering("tensorrt", ops.GridSample, unless=_volume)
def grid_sample(ctx: TensorRTLowering, op: ops.GridSample) -> ITensor:
    """A grid sample layer."""
    return ctx(
        "grid_sample",
        ctx[op.x],
        ctx[op.grid],
        interpolation_mode=getattr(ctx.trt.InterpolationMode, _MODES[op.mode]),
        sample_mode=getattr(ctx.trt.SampleMode, _OUTSIDE[op.padding_mode]),
        align_corners=op.align_corners,
    )
