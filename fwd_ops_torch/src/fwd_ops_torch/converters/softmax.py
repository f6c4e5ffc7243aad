"""Converters of softmax and its logarithm."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._numerics import is_empty, widened
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::softmax", "aten::special_softmax")
def softmax(ctx: ConversionContext, x: Value, dim: int, dtype: DType | None = None) -> Value:
    """aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor. Floats."""
    value = x if dtype is None else ctx.cast(x, dtype)
    axis = ctx.axis(dim, x.type.rank)
    if x.type.rank:
        return ctx.emit(ops.Softmax(value, axis))
    return ctx.emit(
        ops.Squeeze(ctx.emit(ops.Softmax(ctx.emit(ops.Unsqueeze(value, (0,))), 0)), (0,))
    )


@converts("aten::_softmax")
def softmax_decomposed(ctx: ConversionContext, x: Value, dim: int, half_to_float: bool) -> Value:
    """aten::_softmax(Tensor self, int dim, bool half_to_float) -> Tensor."""
    return softmax(ctx, x, dim, DType.FLOAT32 if half_to_float else None)


@converts("aten::log_softmax", "aten::special_log_softmax")
def log_softmax(ctx: ConversionContext, x: Value, dim: int, dtype: DType | None = None) -> Value:
    """aten::log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor.

    Floats; half precision is computed in float32.
    """
    value = x if dtype is None else ctx.cast(x, dtype)
    if not value.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=value.type)
    axis, wide = ctx.axis(dim, x.type.rank), widened(ctx, value)
    if is_empty(x, range(x.type.rank)):
        return value
    axes = (axis,) if x.type.rank else ()
    greatest = ctx.emit(ops.ReduceMax(wide, axes, keepdims=True), "greatest") if axes else wide
    shifted = ctx.emit(ops.Sub(wide, greatest), "shifted")
    total = ctx.emit(ops.Exp(shifted), "exp")
    if axes:
        total = ctx.emit(ops.ReduceSum(total, axes, keepdims=True), "total")
    result = ctx.emit(ops.Sub(shifted, ctx.emit(ops.Log(total), "log")), "log_softmax")
    return ctx.cast(result, value.type.dtype)


@converts("aten::_log_softmax")
def log_softmax_decomposed(
    ctx: ConversionContext, x: Value, dim: int, half_to_float: bool
) -> Value:
    """aten::_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor."""
    return log_softmax(ctx, x, dim, DType.FLOAT32 if half_to_float else None)
