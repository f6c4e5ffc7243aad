"""Converters of normalizations and softmax."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_ops_torch.converting import ConversionContext, converts

_NO_KERNELS = {"cudnn_enabled": "chooses among kernels of equal meaning"}
_NO_TRAINING = {"momentum": "updates running statistics, in training only"}


@converts("aten::batch_norm", no_effect=_NO_KERNELS | _NO_TRAINING)
def batch_norm(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool,
    eps: float,
) -> Value:
    """aten::batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor.

    Evaluation mode, with running statistics.
    """
    if training or running_mean is None or running_var is None:
        raise ctx.unsupported(
            "training", "statistics of the batch itself have no converter yet", "call model.eval()"
        )
    parts = [None if p is None else ctx.cast(p, x.type.dtype) for p in (weight, bias)]
    mean, variance = (ctx.cast(p, x.type.dtype) for p in (running_mean, running_var))
    return ctx.emit(ops.BatchNorm(x, mean, variance, parts[0], parts[1], eps))


@converts("aten::_native_batch_norm_legit_no_training", no_effect=_NO_TRAINING)
def native_batch_norm_no_training(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value,
    running_var: Value,
    eps: float,
) -> tuple[Value, Value, Value]:
    """aten::_native_batch_norm_legit_no_training(Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, Tensor running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor).

    The second and third result are empty, as torch's are.
    """
    result = batch_norm(ctx, x, weight, bias, running_mean, running_var, False, eps)
    return result, _empty(ctx, x), _empty(ctx, x)


@converts("aten::native_batch_norm", no_effect=_NO_TRAINING)
def native_batch_norm(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool,
    eps: float,
) -> tuple[Value, Value, Value]:
    """aten::native_batch_norm(Tensor input, ..., bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)."""
    result = batch_norm(ctx, x, weight, bias, running_mean, running_var, training, eps)
    return result, _empty(ctx, x), _empty(ctx, x)


def _empty(ctx: ConversionContext, x: Value) -> Value:
    return ctx.emit(ops.Full((0,), 0.0, x.type.dtype), "saved")


@converts("aten::layer_norm", no_effect={"cudnn_enable": "chooses among kernels of equal meaning"})
def layer_norm(
    ctx: ConversionContext,
    x: Value,
    normalized_shape: Sequence[Dim],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """aten::layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor."""
    axes = len(normalized_shape)
    tail = x.type.shape[x.type.rank - axes :]
    if axes > x.type.rank or not all(map(is_equal, normalized_shape, tail)):
        raise ConversionError(
            "layer_norm: normalized_shape is not the end of the input's shape",
            expected=list(tail),
            got=list(normalized_shape),
        )
    return ctx.emit(ops.LayerNorm(x, weight, bias, axes, eps))


@converts("aten::native_layer_norm")
def native_layer_norm(
    ctx: ConversionContext,
    x: Value,
    normalized_shape: Sequence[Dim],
    weight: Value | None,
    bias: Value | None,
    eps: float,
) -> tuple[Value, Value, Value]:
    """aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor).

    Also the mean and the reciprocal standard deviation, which clean-up removes when unused.
    """
    result = layer_norm(ctx, x, normalized_shape, weight, bias, eps)
    axes = tuple(range(x.type.rank - len(normalized_shape), x.type.rank))
    mean = ctx.emit(ops.ReduceMean(x, axes, keepdims=True), "mean")
    centered = ctx.emit(ops.Sub(x, mean), "centered")
    square = ctx.emit(ops.Mul(centered, centered), "square")
    variance = ctx.emit(ops.ReduceMean(square, axes, keepdims=True), "variance")
    shifted = ctx.emit(ops.Add(variance, ctx.number(eps, x.type.dtype, "epsilon")), "shifted")
    rstd = ctx.emit(ops.Reciprocal(ctx.emit(ops.Sqrt(shifted), "deviation")), "rstd")
    return result, mean, rstd


@converts("aten::softmax")
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
