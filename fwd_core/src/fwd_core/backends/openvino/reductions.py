"""OpenVINO's reductions, kept away from what it gets wrong, and exact steps for integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dims import Dim, bounds
from fwd_core.ir.types import Shape

if TYPE_CHECKING:
    from openvino import Output

Step = Literal["add", "multiply", "maximum", "minimum"]
#: What changes nothing when it is added to, multiplied with, … an int32.
_NEUTRAL: dict[Step, int] = {"add": 0, "multiply": 1, "maximum": -(2**31), "minimum": 2**31 - 1}


def reduce(
    ctx: OpenVINOLowering, function: str, x: Output, axes: Sequence[int], keepdims: bool
) -> Output:
    """One of OpenVINO's reductions of floats or bools.

    Of three axes, OpenVINO 2026.4 fuses a reduction of the first or the last with what constants
    do along the middle one, among them scales of integers, and then goes along another axis. Of
    four axes it is right.
    """
    rank = x.get_partial_shape().rank.get_length()
    floats = x.get_element_type().is_real()
    if rank != 3 or not floats or list(axes) not in ([0], [2]):
        return getattr(ctx.opset, function)(x, ctx.vector(axes), keepdims).output(0)
    (axis,) = axes
    if axis == 0:  # without PReLU of slope 1 it would swap both, and be wrong as before
        slope = ctx.constant(np.ones(1, np.float32))
        wider, new, axis = ctx.opset.prelu(ctx.opset.unsqueeze(x, ctx.vector([0])), slope), 0, 1
    else:
        wider, new, axis = ctx.opset.unsqueeze(x, ctx.vector([2])), 2, 3
    result = getattr(ctx.opset, function)(wider, ctx.vector([axis]), True)
    return ctx.opset.squeeze(result, ctx.vector([new] if keepdims else [new, axis])).output(0)


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
