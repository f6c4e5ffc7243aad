"""Parts that lowerings of arithmetic share: constants beside a tensor, bounds, wrapping."""

from __future__ import annotations

from collections.abc import Callable

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.types import NARROW
from fwd_core.ir.dtypes import DType
from fwd_core.ir.types import TensorType


def number(ctx: TensorRTLowering, value: float, kind: TensorType, wide: bool = False) -> ITensor:
    """One number of the type and rank of a tensor; ``wide`` makes it int32."""
    return ctx.scalar(value, DType.INT32 if wide else kind.dtype, kind.rank)


def bound(
    ctx: TensorRTLowering, limit: float, kind: TensorType, whole: Callable[[float], int]
) -> ITensor:
    """A limit as a number; of integers the last whole number within it and within their range."""
    if kind.dtype.is_float:
        return number(ctx, limit, kind)
    least, greatest = ctx.limits(kind.dtype)
    return number(ctx, whole(min(max(limit, least), greatest)), kind)


def negated(ctx: TensorRTLowering, x: ITensor, kind: TensorType) -> ITensor:
    """``0 - x``, which every flavour has for integers."""
    return ctx.elementwise("SUB", number(ctx, 0, kind), x)


def activation(ctx: TensorRTLowering, kind: str, x: ITensor, **settings: float) -> ITensor:
    """An activation layer by the name of its ``ActivationType``."""
    return ctx("activation", x, getattr(ctx.trt.ActivationType, kind), **settings)


def is_number(ctx: TensorRTLowering, x: ITensor) -> ITensor:
    """Which elements of a tensor of floats are not NaN, as bool."""
    if ctx.features.isnan:
        return ctx.unary("NOT", ctx.unary("ISNAN", x))
    return ctx.elementwise("EQUAL", x, x)


def keeping_nan(ctx: TensorRTLowering, result: ITensor, *operands: ITensor) -> ITensor:
    """A result with the NaNs of the operands, all of one shape or broadcast to it.

    Layers that pick the greater or the smaller of two floats drop a NaN on one side or on both.
    """
    for x in operands:
        result = ctx("select", is_number(ctx, x), result, x)
    return result


def wrapped(ctx: TensorRTLowering, x: ITensor, kind: TensorType) -> ITensor:
    """An int32 result brought back into the range of an 8- or 16-bit integer type, as it wraps."""
    if kind.dtype not in NARROW:
        return x
    count = 1 << (8 * kind.dtype.itemsize)
    low = int(kind.dtype.limits[0])
    shifted = ctx.elementwise("SUB", x, number(ctx, low, kind, wide=True))
    size = number(ctx, count, kind, wide=True)
    laps = ctx.elementwise("PROD", ctx.elementwise("FLOOR_DIV", shifted, size), size)
    return ctx.elementwise("SUB", x, laps)
