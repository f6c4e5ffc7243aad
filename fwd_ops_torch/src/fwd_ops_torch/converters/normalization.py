"""Converters of normalizations."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, Value, is_equal, ops
from fwd_core.ir.dims import divide_exactly, product
from fwd_ops_torch.converters._numerics import widened
from fwd_ops_torch.converters.statistics import centered
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.tensors import torch_dtype

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

    With running statistics in evaluation mode; without any, by those of the batch itself.
    """
    if running_mean is None and running_var is None and training:
        return batch_statistics(ctx, x, weight, bias, eps)
    if training or running_mean is None or running_var is None:
        raise ctx.unsupported(
            "training", "in training mode the running statistics change", "call model.eval()"
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


@converts("aten::native_batch_norm", "aten::_native_batch_norm_legit", no_effect=_NO_TRAINING)
def native_batch_norm(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    training: bool,
    eps: float,
    running_mean: Value | None = None,
    running_var: Value | None = None,
) -> tuple[Value, Value, Value]:
    """aten::native_batch_norm(Tensor input, ..., bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor).

    The second and third result are empty, or the batch's mean and reciprocal standard deviation.
    """
    result = batch_norm(ctx, x, weight, bias, running_mean, running_var, training, eps)
    if not training:
        return result, _empty(ctx, x), _empty(ctx, x)
    axes = (0, *range(2, x.type.rank))
    mean, rstd = (ctx.emit(ops.Squeeze(part, axes)) for part in _saved(ctx, x, axes, eps))
    return result, mean, rstd


@converts("aten::_native_batch_norm_legit_functional", no_effect=_NO_TRAINING)
def native_batch_norm_functional(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value,
    running_var: Value,
    training: bool,
    eps: float,
) -> tuple[Value, ...]:
    """aten::_native_batch_norm_legit_functional(Tensor input, ..., bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor, Tensor).

    What decompositions make of ``_native_batch_norm_legit``. The fourth and fifth result are the
    running statistics, which evaluation leaves as they are.
    """
    normal = native_batch_norm(
        ctx, x, weight, bias, training, eps, running_mean=running_mean, running_var=running_var
    )
    return (*normal, running_mean, running_var)


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
    _require_tail(ctx, x, normalized_shape)
    scale, shift = _affine(ctx, x, weight, bias)
    return ctx.emit(ops.LayerNorm(x, scale, shift, len(normalized_shape), eps))


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
    return result, *_saved(ctx, x, axes, eps)


@converts("aten::group_norm", no_effect=_NO_KERNELS)
def group_norm(
    ctx: ConversionContext,
    x: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """aten::group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor.

    [N, C, ...], with C a multiple of num_groups.
    """
    if x.type.rank < 2 or num_groups < 1 or divide_exactly(x.type.shape[1], num_groups) is None:
        raise ConversionError(
            "group_norm: channels are a multiple of num_groups", got=f"{num_groups}, {x.type}"
        )
    scale, shift = _affine(ctx, x, weight, bias)
    return ctx.emit(ops.GroupNorm(x, scale, shift, num_groups, eps))


@converts(
    "aten::native_group_norm", no_effect=dict.fromkeys(("N", "C", "HxW"), "sizes of the input")
)
def native_group_norm(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    group: int,
    eps: float,
) -> tuple[Value, Value, Value]:
    """aten::native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, SymInt C, SymInt HxW, int group, float eps) -> (Tensor, Tensor, Tensor).

    Also the mean and the reciprocal standard deviation, which clean-up removes when unused.
    """
    result = group_norm(ctx, x, group, weight, bias, eps)
    lead = (x.type.shape[0], group)
    rest = divide_exactly(product(x.type.shape[1:]), group)
    assert rest is not None, "groups divide the channels"
    rows = ctx.emit(ops.Reshape(x, (*lead, rest)), "rows")
    mean, rstd = (ctx.emit(ops.Squeeze(part, (2,))) for part in _saved(ctx, rows, (2,), eps))
    return result, mean, rstd


@converts("aten::instance_norm", no_effect=_NO_KERNELS | _NO_TRAINING)
def instance_norm(
    ctx: ConversionContext,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    use_input_stats: bool,
    eps: float,
) -> Value:
    """aten::instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor.

    By the statistics of each instance, or by running ones.
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ConversionError(
                "instance_norm: without use_input_stats, running statistics are needed"
            )
        return batch_norm(ctx, x, weight, bias, running_mean, running_var, False, eps)
    if x.type.rank < 2:
        raise ConversionError("instance_norm: at least 2 axes", got=x.type)
    scale, shift = _affine(ctx, x, weight, bias)
    channels = ctx.static(x.type.shape[1], "input")
    return ctx.emit(ops.GroupNorm(x, scale, shift, channels, eps))


@converts("aten::rms_norm")
def rms_norm(
    ctx: ConversionContext,
    x: Value,
    normalized_shape: Sequence[Dim],
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    """aten::rms_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor.

    Root mean square normalization (Zhang and Sennrich, 2019) over the last axes.
    """
    return fused_rms_norm(ctx, x, normalized_shape, weight, eps)[0]


@converts("aten::_fused_rms_norm")
def fused_rms_norm(
    ctx: ConversionContext,
    x: Value,
    normalized_shape: Sequence[Dim],
    weight: Value | None,
    eps: float | None,
) -> tuple[Value, Value]:
    """aten::_fused_rms_norm(Tensor input, int[] normalized_shape, Tensor? weight, float? eps) -> (Tensor, Tensor).

    Also the reciprocal root. Half precision is computed in float32.
    """
    _require_tail(ctx, x, normalized_shape)
    dtype = x.type.dtype
    if not dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)
    wide = widened(ctx, x)
    axes = tuple(range(x.type.rank - len(normalized_shape), x.type.rank))
    square = ctx.emit(ops.Mul(wide, wide), "square")
    mean = ctx.emit(ops.ReduceMean(square, axes, keepdims=True), "mean")
    epsilon = eps if eps is not None else float(torch.finfo(torch_dtype(wide.type.dtype)).eps)
    rstd = _reciprocal_root(ctx, mean, epsilon)
    result = ctx.emit(ops.Mul(wide, rstd), "normal")
    if weight is not None:
        result = ctx.emit(ops.Mul(result, ctx.cast(weight, wide.type.dtype)), "scaled")
    return ctx.cast(result, dtype), rstd


def batch_statistics(
    ctx: ConversionContext, x: Value, weight: Value | None, bias: Value | None, eps: float
) -> Value:
    """Batch normalization by the batch's own mean and variance."""
    wide = widened(ctx, x)
    axes = (0, *range(2, x.type.rank))
    _, rest = centered(ctx, wide, axes)
    variance = ctx.emit(ops.ReduceMean(ctx.emit(ops.Mul(rest, rest)), axes, keepdims=True))
    result = ctx.emit(ops.Mul(rest, _reciprocal_root(ctx, variance, eps)), "normal")
    behind = tuple(range(1, x.type.rank - 1))
    for parameter, join in ((weight, ops.Mul), (bias, ops.Add)):
        if parameter is not None:
            row = ctx.emit(ops.Unsqueeze(ctx.cast(parameter, wide.type.dtype), behind))
            result = ctx.emit(join(result, row))
    return ctx.cast(result, x.type.dtype)


def _require_tail(ctx: ConversionContext, x: Value, normalized_shape: Sequence[Dim]) -> None:
    axes = len(normalized_shape)
    tail = x.type.shape[x.type.rank - axes :]
    if not 1 <= axes <= x.type.rank or not all(map(is_equal, normalized_shape, tail)):
        raise ConversionError(
            f"{ctx.operator}: normalized_shape is not the end of the input's shape",
            expected=list(tail),
            got=list(normalized_shape),
        )


def _affine(
    ctx: ConversionContext, x: Value, *parameters: Value | None
) -> tuple[Value | None, Value | None]:
    weight, bias = (None if one is None else ctx.cast(one, x.type.dtype) for one in parameters)
    return weight, bias


def _reciprocal_root(ctx: ConversionContext, variance: Value, eps: float) -> Value:
    shifted = ctx.emit(
        ops.Add(variance, ctx.number(eps, variance.type.dtype, "epsilon")), "shifted"
    )
    return ctx.emit(ops.Reciprocal(ctx.emit(ops.Sqrt(shifted), "deviation")), "rstd")


def _saved(
    ctx: ConversionContext, x: Value, axes: tuple[int, ...], eps: float
) -> tuple[Value, Value]:
    """The mean and the reciprocal standard deviation over axes, which keep size 1."""
    wide = widened(ctx, x)
    mean, rest = centered(ctx, wide, axes)
    square = ctx.emit(ops.Mul(rest, rest), "square")
    variance = ctx.emit(ops.ReduceMean(square, axes, keepdims=True), "variance")
    rstd = _reciprocal_root(ctx, variance, eps)
    return ctx.cast(mean, x.type.dtype), ctx.cast(rstd, x.type.dtype)
