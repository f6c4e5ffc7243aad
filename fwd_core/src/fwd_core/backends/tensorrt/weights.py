"""Constants: from our tensors to TensorRT's weights, with the rules that its flavours have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fwd_core.backends.tensorrt import endless
from fwd_core.backends.tensorrt.types import HELD
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering


def weights(ctx: TensorRTLowering, tensor: Tensor | None, dtype: DType | None = None) -> Any:
    """``trt.Weights`` in the type that the tensor's type is computed in.

    Args:
        ctx: The context.
        tensor: The contents; ``None`` for empty weights of ``dtype``.
        dtype: Type of empty weights.

    Raises:
        BuildError: An integer does not fit the flavour's widest integers.
    """
    if tensor is None:
        assert dtype is not None
        return ctx.trt.Weights(ctx.datatype(ctx.computed(dtype)))
    name = ctx.computed(tensor.dtype)
    held = _narrowed(ctx, tensor, HELD[name])
    if held.data.size == 0:
        return ctx.trt.Weights(ctx.datatype(name))
    if held.dtype is DType.BFLOAT16:  # NumPy has no such type, so TensorRT is told an address
        ctx.kept.append(held)
        return ctx.trt.Weights(ctx.datatype(name), held.data.ctypes.data, held.data.size)
    return ctx.trt.Weights(held.data)


def constant(ctx: TensorRTLowering, tensor: Tensor, *, plain: bool = False) -> ITensor:
    """A constant layer's tensor; unless it is to be plain, one whose elements are kept.

    Raises:
        BuildError: An integer does not fit the flavour's widest integers.
    """
    if tensor.dtype is DType.BOOL and not ctx.features.bool_constants:
        return ctx.cast(constant(ctx, tensor.astype(DType.INT32)), "BOOL")
    if not plain and not endless.is_kept(ctx, tensor):
        return endless.gathered(ctx, tensor)
    return ctx("constant", tensor.shape, weights(ctx, tensor))


def _narrowed(ctx: TensorRTLowering, tensor: Tensor, held: DType) -> Tensor:
    if tensor.dtype.is_integer and tensor.data.size:
        least, greatest = np.min(tensor.data), np.max(tensor.data)
        low, high = held.limits
        if least < low or greatest > high:
            raise ctx.error(
                f"a constant of {tensor.type} does not fit {held}, the widest integers of "
                f"{ctx.features.flavour} here",
                expected=f"{low} … {high}",
                got=f"{least} … {greatest}",
            )
    return tensor.astype(held)
