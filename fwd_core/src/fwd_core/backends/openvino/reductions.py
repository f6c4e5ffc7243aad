"""Reductions of integers in exact steps: OpenVINO's own reduce in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dims import Dim, bounds
from fwd_core.ir.types import Shape

if TYPE_CHECKING:
    from openvino import Output

Step = Literal["add", "multiply", "maximum", "minimum"]
#: What changes nothing when it is added to, multiplied with, … an int32.
_NEUTRAL: dict[Step, int] = {"add": 0, "multiply": 1, "maximum": -(2**31), "minimum": 2**31 - 1}


def fold(ctx: OpenVINOLowering, step: Step, x: Output, shape: Shape, axis: int) -> Output:
    """Reduce one axis to size 1 by halving it until one element is left.

    Args:
        ctx: The lowering context.
        step: OpenVINO's operator that joins both halves; exact for integers.
        x: An int32 tensor.
        shape: Its shape.
        axis: The axis to reduce.
    """
    size, length = shape[axis], 1
    while length < bounds(size)[1]:
        length *= 2
    if size != length:  # make it a power of two, whatever the size is at run time
        before: list[Dim] = [0] * len(shape)
        after = before.copy()
        after[axis] = length - size
        x = integers.pad(ctx.opset, x, ctx.vector(before), ctx.vector(after), _NEUTRAL[step])
    join = getattr(ctx.opset, step)
    while length > 1:
        length //= 2
        x = join(*ctx.opset.split(x, ctx.scalar(axis), 2).outputs()).output(0)
    return x
