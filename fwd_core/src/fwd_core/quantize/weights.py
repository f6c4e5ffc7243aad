"""Which ranges are usable, and the scales of weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import ops
from fwd_core.ir.operator import Operator
from fwd_core.ir.tensor import Tensor

#: The greatest magnitude in eight bits; -128 is not used, so that the scheme is symmetric.
GREATEST = 127
#: Scales are float32 and greater than 0; below this they would be subnormal or vanish.
LEAST_SCALE = float(np.finfo(np.float32).tiny)


def range_problem(amax: float) -> str | None:
    """Why a tensor of that range cannot be quantized, if so."""
    if not math.isfinite(amax) or amax < 0:
        return f"its range is {amax}"
    if amax / GREATEST < LEAST_SCALE:
        return "it was always 0" if amax == 0 else f"its range of {amax} is as good as 0"
    if amax > float(np.finfo(np.float32).max):
        return f"its range of {amax} is beyond float32"
    return None


def weight_problem(weight: Tensor) -> str | None:
    """Why a constant cannot be quantized, if so."""
    if not weight.data.size:
        return "it is empty"
    low, high = float(weight.data.min()), float(weight.data.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        return "it holds numbers that are not finite"
    return None


def greatest(tensor: Tensor) -> float:
    """The greatest magnitude in a tensor that is not empty."""
    return max(float(tensor.data.max()), -float(tensor.data.min()))


def weight_axis(op: Operator, field: str, rank: int) -> int | None:
    """The axis of a weight that output channels are on; ``None`` for one scale in all.

    A transposed convolution with groups has a channel of each group at every element of the
    axis, which share its scale. A constant that is multiplied from the left, or convolved, has
    none: its rows are no output channels.
    """
    if field == "weight":
        return 1 if isinstance(op, ops.ConvolutionTranspose) else 0
    if isinstance(op, ops.MatMul) and field == "b":
        return rank - 2 if op.transpose_b else rank - 1
    return None


def weight_scale(weight: Tensor, axis: int | None) -> NDArray[np.float32]:
    """Scales of a weight: one number, or one per element of an axis.

    A channel of zeros stays zeros whatever its scale is; it has 1.
    """
    data = weight.data
    others = None if axis is None else tuple(i for i in range(data.ndim) if i != axis)
    magnitude = np.maximum(data.max(axis=others), -data.min(axis=others)).astype(np.float64)
    scale = magnitude / GREATEST
    return np.asarray(np.where(scale < LEAST_SCALE, 1.0, scale), np.float32)
