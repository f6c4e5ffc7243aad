"""Constants that a compiler does not keep: infinities, NaN, and what lies near float32's end.

TensorRT 8 clamps them to 1e38. There they are computed when the engine runs, of a zero that
depends on an input, so that the compiler cannot know it: ``x > 0 and x < 0`` of an element, which
is false of NaN too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fwd_core.ir.dims import bounds
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering

#: The greatest number that is kept.
_KEPT = 1e38
#: A power of two that brings what is greater into the range that is kept.
_FACTOR = 16.0


def is_kept(ctx: TensorRTLowering, tensor: Tensor) -> bool:
    """Whether a constant has only elements that the compiler keeps, or there is no way around."""
    if ctx.features.endless_constants or not tensor.dtype.is_float:
        return True
    data = tensor.astype(DType.FLOAT32).data
    with np.errstate(invalid="ignore"):
        kept = bool(np.all(np.abs(data) <= np.float32(_KEPT)))
    return kept or _source(ctx) is None


def constant(ctx: TensorRTLowering, tensor: Tensor) -> ITensor:
    """A constant with elements that the compiler does not keep: these are put into it."""
    data = tensor.astype(DType.FLOAT32).data
    large = np.isfinite(data) & (np.abs(data) > np.float32(_KEPT))
    rank = data.ndim
    rest = np.where(np.isfinite(data), np.where(large, data / np.float32(_FACTOR), data), 0.0)
    result = ctx.constant(Tensor(rest.astype(np.float32)))
    cases = [
        (large, lambda: ctx.elementwise("PROD", result, _ranked(ctx, "factor", rank))),
        (np.isposinf(data), lambda: _ranked(ctx, "inf", rank)),
        (np.isneginf(data), lambda: _ranked(ctx, "-inf", rank)),
        (np.isnan(data), lambda: _ranked(ctx, "nan", rank)),
    ]
    for places, make in cases:
        if places.any() and data.size == 1:
            result = make()
        elif places.any():
            result = ctx("select", ctx.constant(Tensor(places)), make(), result)
    name = ctx.computed(tensor.dtype)
    return result if name == "FLOAT" else ctx.cast(result, name)


def _ranked(ctx: TensorRTLowering, name: str, rank: int) -> ITensor:
    return ctx.reshape(_number(ctx, name), (1,), (1,) * rank)


def _number(ctx: TensorRTLowering, name: str) -> ITensor:
    """One element of float32, computed once in a network and in each branch of a conditional."""
    known = ctx.sizes.endless
    if name not in known:
        known[name] = _computed(ctx, name)
    return known[name]


def _computed(ctx: TensorRTLowering, name: str) -> ITensor:
    if name == "zero":
        return _unknown_zero(ctx)
    zero = _number(ctx, "zero")
    if name == "inf":
        return ctx.unary("RECIP", zero)
    if name == "-inf":
        return ctx.unary("NEG", _number(ctx, "inf"))
    if name == "nan":
        return ctx.elementwise("PROD", zero, _number(ctx, "inf"))
    return ctx.elementwise("SUM", zero, ctx.scalar(_FACTOR, DType.FLOAT32, 1))


def _unknown_zero(ctx: TensorRTLowering) -> ITensor:
    found = _source(ctx)
    assert found is not None
    x, shape, dtype = found
    first = ctx.slice(x, shape, dict.fromkeys(range(len(shape)), (0, 1, 1)))
    first = ctx.reshape(first, (1,) * len(shape), (1,))
    if dtype is DType.BOOL:
        never = ctx.elementwise("AND", first, ctx.unary("NOT", first))
    else:
        zero = ctx.scalar(0, dtype, 1)
        signs = (ctx.elementwise(operation, first, zero) for operation in ("GREATER", "LESS"))
        never = ctx.elementwise("AND", *signs)
    return ctx.cast(never, "FLOAT")


def _source(ctx: TensorRTLowering) -> tuple[ITensor, Shape, DType] | None:
    """An input that is never empty."""
    for value in ctx.sizes.inputs:
        if all(bounds(dim)[0] > 0 for dim in value.type.shape):
            return ctx[value], value.type.shape, value.type.dtype
    return None
