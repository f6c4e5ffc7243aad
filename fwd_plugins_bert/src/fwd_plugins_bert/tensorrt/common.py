"""What the plugins have in common: types, fields, and tensors [length, batch, features, 1, 1]."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.runtime import device
from fwd_core.ir import DType, Value
from fwd_core.ir.dims import product
from fwd_core.ir.types import Shape

Array = NDArray[np.generic]

#: NVIDIA's kernels add next to nothing to the variance, so an epsilon that counts is not taken:
#: one of this size changes a norm by less than the types can tell where the variance is not tiny.
_GREATEST_EPSILON = {DType.FLOAT16: 1e-5, DType.FLOAT32: 1e-7}


def refusal(ctx: Any, x: Value, *parameters: Value | None) -> str | None:
    """Why a plugin cannot take an operand with such parameters, which it holds as constants."""
    if not ctx.features.plugin_creators:
        return f"{ctx.features.flavour} here has no plugins of version 2"
    if x.type.dtype not in _GREATEST_EPSILON:
        return f"plugins take float32 and float16, not {x.type.dtype}"
    if not isinstance(x.type.shape[-1], int):
        return "plugins need a fixed number of features"
    if any(value is not None and value.constant is None for value in parameters):
        return "plugins hold their parameters as constants"
    return None


def epsilon_refusal(epsilon: float, dtype: DType) -> str | None:
    """Why a norm with an epsilon cannot be left to a plugin."""
    greatest = _GREATEST_EPSILON[dtype]
    if epsilon <= greatest:
        return None
    return f"plugins have no epsilon, and one above {greatest:g} counts in {dtype}"


@lru_cache(maxsize=None)
def capability() -> int | None:
    """Compute capability of the GPU at hand, as 90; ``None`` if there is none."""
    gpu, _ = device.find()
    return None if gpu is None else int(gpu.capability.removeprefix("sm_"))


def integer(value: int) -> Array:
    """A field of one integer."""
    return np.array([value], np.int32)


def type_id(dtype: DType) -> Array:
    """The field that says which type a plugin reads and makes: TensorRT's number of it."""
    return integer(1 if dtype is DType.FLOAT16 else 0)


def floats(value: Value) -> Array:
    """A field of numbers, which plugins round themselves."""
    assert value.constant is not None
    return value.constant.data.astype(np.float32).ravel()


def vector(value: Value | None, size: int, default: float) -> Array:
    """A field of a parameter, or of numbers that leave it out."""
    return np.full(size, default, np.float32) if value is None else floats(value)


def spread(ctx: TensorRTLowering, tensor: ITensor, shape: Shape) -> tuple[ITensor, Shape]:
    """A tensor [..., features] with five axes as [rows, rows, features, 1, 1], and that shape."""
    *lead, features = shape
    rows: Shape = (*lead[:1], product(lead[1:])) if lead else (1, 1)
    wide = (*rows, features, 1, 1)
    return ctx.reshape(tensor, shape, wide), wide
