"""Masks as what is added to scores."""

from __future__ import annotations

import math

import numpy as np

from fwd_core.ir import Dim, DType, Emitter, Tensor, Value, ops
from fwd_core.ir.ops.attention import causal_mask


def scalar(emit: Emitter, number: float, dtype: DType) -> Value:
    """A number of that dtype."""
    return emit.constant(Tensor(np.array(number, np.float64)).astype(dtype), "number")


def added_mask(emit: Emitter, mask: Value | None, causal: bool, length: Dim, dtype: DType) -> Value:
    """What a mask and causality add: minus infinity where they remove."""
    removed = scalar(emit, -math.inf, dtype)
    zero = scalar(emit, 0.0, dtype)
    if mask is None:
        mask = zero
    elif mask.type.dtype is DType.BOOL:
        mask = emit(ops.Where(mask, zero, removed), "added")
    if causal:
        mask = emit(ops.Where(causal_mask(emit, length, length), mask, removed), "added")
    return mask
