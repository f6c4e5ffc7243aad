"""Numbers that a narrower type cannot hold.

Finite numbers beyond the range become the greatest finite one: a mask of -1e9 or of float32's
lowest number must mask, not turn to minus infinity, which makes NaN of a row that is masked
everywhere. Infinities stay what they are, because the narrower type has them too and their sums
and maxima are the same.
"""

from __future__ import annotations

import math

import numpy as np

from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor


def clamped(tensor: Tensor, dtype: DType) -> Tensor:
    """The tensor in another float type, with finite numbers kept finite."""
    if not exceeds(tensor, dtype):
        return tensor.astype(dtype)
    low, high = dtype.limits
    values = tensor.numpy()
    with np.errstate(invalid="ignore"):
        limited = np.where(np.isfinite(values), np.clip(values, low, high), values)
    return Tensor(limited.astype(values.dtype)).astype(dtype)


def clamped_number(value: float, dtype: DType) -> float:
    """A number for an attribute: as :func:`clamped`."""
    low, high = dtype.limits
    return min(max(value, low), high) if math.isfinite(value) else value


def exceeds(tensor: Tensor, dtype: DType) -> bool:
    """Whether a finite number of the tensor is beyond the type's range."""
    if not tensor.data.size:
        return False
    _, high = dtype.limits  # float ranges are symmetric
    values = tensor.numpy()
    if -high <= float(np.min(values)) and float(np.max(values)) <= high:
        return False  # the common case, at the speed of memory
    with np.errstate(invalid="ignore"):  # a signalling NaN is still a NaN
        magnitudes = np.abs(values.astype(np.float64))
    return bool(np.any(np.isfinite(magnitudes) & (magnitudes > high)))


def vanishes(tensor: Tensor, dtype: DType) -> bool:
    """Whether a single number is not zero but becomes zero: an epsilon that guards a division."""
    if tensor.data.size != 1:
        return False
    return tensor.item() != 0 and clamped(tensor, dtype).item() == 0
