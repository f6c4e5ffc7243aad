"""Converters of losses of each element against its own target.

Half precision is computed in float32 and rounded once, at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, is_equal, ops
from fwd_ops_torch.converters._losses import reduced, single
from fwd_ops_torch.converters.activation import log_sigmoid
from fwd_ops_torch.converters.arithmetic import xlogy
from fwd_ops_torch.converters.elementwise import add, le, mul, sub
from fwd_ops_torch.converters.logic import masked_fill
from fwd_ops_torch.converters.unary import exp, log
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.promotion import result_dtype

#: Torch's least logarithm of a probability.
_LEAST_LOG = -100.0


@converts("aten::mse_loss")
def mse_loss(ctx: ConversionContext, x: Value, target: Value, reduction: int = 1) -> Value:
    """aten::mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor. One float or two."""

    def squares(difference: Value) -> Value:
        return ctx.emit(ops.Mul(difference, difference), "squares")

    return _of_difference(ctx, x, target, reduction, squares)


@converts("aten::l1_loss")
def l1_loss(ctx: ConversionContext, x: Value, target: Value, reduction: int = 1) -> Value:
    """aten::l1_loss(Tensor self, Tensor target, int reduction=1) -> Tensor. Numbers; a mean of floats."""
    dtype = result_dtype((x, target))
    a, b = single(ctx, x, target)
    loss = reduced(ctx, ctx.emit(ops.Abs(sub(ctx, a, b)), "size"), reduction)
    return ctx.cast(loss, dtype) if dtype.is_float else loss


@converts("aten::smooth_l1_loss")
def smooth_l1_loss(
    ctx: ConversionContext, x: Value, target: Value, reduction: int = 1, beta: float = 1.0
) -> Value:
    """aten::smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.) -> Tensor.

    One float or two; half the square over beta where the difference is below beta.
    """
    if beta < 0:
        raise ConversionError(f"{ctx.operator}: beta must not be negative", got=beta)

    def smooth(difference: Value) -> Value:
        size = ctx.emit(ops.Abs(difference), "size")
        if beta == 0:
            return size
        dtype = size.type.dtype
        limit, factor, half = (ctx.number(one, dtype) for one in (beta, 0.5 / beta, 0.5 * beta))
        curve = ctx.emit(ops.Mul(ctx.emit(ops.Mul(size, size), "squares"), factor), "curve")
        line = ctx.emit(ops.Sub(size, half), "line")
        return ctx.emit(ops.Where(ctx.emit(ops.Less(size, limit), "near"), curve, line), "smooth")

    return _of_difference(ctx, x, target, reduction, smooth)


@converts("aten::huber_loss")
def huber_loss(
    ctx: ConversionContext, x: Value, target: Value, reduction: int = 1, delta: float = 1.0
) -> Value:
    """aten::huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.) -> Tensor.

    self of floats, whose dtype the result has; half the square where the difference is below delta.
    """
    if not delta > 0:
        raise ConversionError(f"{ctx.operator}: delta must be above 0", got=delta)
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: self is of floats", got=x.type)

    def huber(difference: Value) -> Value:
        size = ctx.emit(ops.Abs(difference), "size")
        dtype = size.type.dtype
        limit, half, part = (ctx.number(one, dtype) for one in (delta, 0.5, 0.5 * delta))
        curve = ctx.emit(ops.Mul(ctx.emit(ops.Mul(size, size), "squares"), half), "curve")
        line = ctx.emit(ops.Mul(ctx.emit(ops.Sub(size, part), "above"), limit), "line")
        return ctx.emit(ops.Where(ctx.emit(ops.Less(size, limit), "near"), curve, line), "huber")

    return _of_difference(ctx, x, target, reduction, huber, x.type.dtype)


@converts("aten::soft_margin_loss")
def soft_margin_loss(ctx: ConversionContext, x: Value, target: Value, reduction: int = 1) -> Value:
    """aten::soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor.

    self of floats; target of any dtype, which broadcasts to it: log(1 + exp(-target self)).
    """
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: self is of floats", got=x.type)
    shape = ctx.broadcast_shape([x, target])
    if len(shape) != x.type.rank or not all(map(is_equal, shape, x.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: target does not broadcast to self", expected=x.type, got=target.type
        )
    (value,) = single(ctx, x)
    against = ctx.emit(ops.Neg(mul(ctx, value, ctx.cast(target, value.type.dtype))), "against")
    loss = ctx.emit(ops.Log1p(ctx.emit(ops.Exp(against), "exp")), "loss")
    return ctx.cast(reduced(ctx, loss, reduction), x.type.dtype)


@converts("aten::kl_div")
def kl_div(
    ctx: ConversionContext, x: Value, target: Value, reduction: int = 1, log_target: bool = False
) -> Value:
    """aten::kl_div(Tensor self, Tensor target, int reduction=1, *, bool log_target=False) -> Tensor.

    Floats; self and, with log_target, target are logarithms of probabilities.
    """
    dtype = _float_of(ctx, x, target)
    a, b = single(ctx, x, target)
    if log_target:
        loss = mul(ctx, exp(ctx, b), sub(ctx, b, a))
    else:
        loss = sub(ctx, xlogy(ctx, b, b), mul(ctx, b, a))
    return ctx.cast(reduced(ctx, loss, reduction), dtype)


def _require_no_bool_subtracted(
    ctx: ConversionContext, x: Value, target: Value, log_input: bool, full: bool
) -> None:
    """Torch subtracts their product or the target from floats, and a rate the other way round."""
    rate, count = (value.type.dtype is DType.BOOL for value in (x, target))
    if (count and full) or (rate and (count or not log_input)):
        raise ConversionError(
            f"{ctx.operator}: torch subtracts no bool tensor",
            expected="numbers",
            got=f"{x.type} and {target.type}",
            hint="cast the input and the target to float first",
        )


@converts("aten::poisson_nll_loss")
def poisson_nll_loss(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    log_input: bool,
    full: bool,
    eps: float,
    reduction: int,
) -> Value:
    """aten::poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) -> Tensor.

    Numbers. With full, Stirling's approximation of log(target!) is added where target is above 1.
    """
    _require_no_bool_subtracted(ctx, x, target, log_input, full)
    x = ctx.to_float(x)
    dtype = result_dtype((x, target))
    given, t = single(ctx, x, target)
    if log_input:
        loss = sub(ctx, exp(ctx, given), mul(ctx, t, given))
    else:
        loss = sub(ctx, given, mul(ctx, t, log(ctx, add(ctx, given, eps))))
    if full:
        last = mul(ctx, log(ctx, mul(ctx, t, 2 * math.pi)), 0.5)
        stirling = add(ctx, sub(ctx, mul(ctx, t, log(ctx, t)), t), last)
        loss = add(ctx, loss, masked_fill(ctx, stirling, le(ctx, t, 1), 0))
    return ctx.cast(reduced(ctx, loss, reduction), dtype)


@converts("aten::binary_cross_entropy")
def binary_cross_entropy(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None = None,
    reduction: int = 1,
) -> Value:
    """aten::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor.

    Floats of one dtype and shape; logarithms are -100 at least. That self is within 0 and 1 is not
    checked.
    """
    dtype = x.type.dtype
    if not dtype.is_float or target.type.dtype is not dtype:
        raise ConversionError(
            f"{ctx.operator}: self and target are of one float dtype",
            got=f"{x.type}, {target.type}",
        )
    if x.type.rank != target.type.rank or not all(map(is_equal, x.type.shape, target.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: target is of another shape", expected=x.type, got=target.type
        )
    value, t = single(ctx, x, target)
    one, least = (ctx.number(number, value.type.dtype) for number in (1.0, _LEAST_LOG))
    hit = ctx.emit(ops.Maximum(ctx.emit(ops.Log(value), "log"), least), "hit")
    other = ctx.emit(ops.Log1p(ctx.emit(ops.Neg(value))), "other")
    miss = ctx.emit(ops.Maximum(other, least), "miss")
    loss = sub(ctx, mul(ctx, sub(ctx, t, one), miss), mul(ctx, t, hit))
    return ctx.cast(reduced(ctx, _weighted(ctx, loss, weight), reduction), dtype)


@converts("aten::binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None = None,
    pos_weight: Value | None = None,
    reduction: int = 1,
) -> Value:
    """aten::binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, int reduction=1) -> Tensor.

    Floats; the result has the dtype of target.
    """
    for one in (x, target):
        if not one.type.dtype.is_float:
            raise ConversionError(f"{ctx.operator}: floats only", got=one.type)
    value, t = single(ctx, x, target)
    likely = log_sigmoid(ctx, value)
    if pos_weight is not None:
        (positive,) = single(ctx, pos_weight)
        likely = mul(ctx, likely, add(ctx, mul(ctx, sub(ctx, positive, 1), t), 1))
    one = ctx.number(1.0, t.type.dtype, "one")
    loss = sub(ctx, mul(ctx, sub(ctx, one, t), value), likely)
    if len(loss.type.shape) != t.type.rank or not all(map(is_equal, loss.type.shape, t.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: self and pos_weight do not broadcast to target",
            expected=target.type,
            got=x.type,
        )
    loss = reduced(ctx, _weighted(ctx, loss, weight), reduction)
    return ctx.cast(loss, target.type.dtype)


def _weighted(ctx: ConversionContext, loss: Value, weight: Value | None) -> Value:
    """Times a weight that broadcasts to the loss."""
    if weight is None:
        return loss
    wide = ctx.emit(ops.Expand(ctx.cast(weight, loss.type.dtype), loss.type.shape), "weight")
    return ctx.emit(ops.Mul(loss, wide), "weighted")


def _float_of(ctx: ConversionContext, x: Value, target: Value) -> DType:
    if not (x.type.dtype.is_float and target.type.dtype.is_float):
        raise ConversionError(f"{ctx.operator}: floats only", got=f"{x.type}, {target.type}")
    return result_dtype((x, target))


def _of_difference(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    reduction: int,
    compute: Callable[[Value], Value],
    dtype: DType | None = None,
) -> Value:
    kind = result_dtype((x, target))
    if not kind.is_float:
        raise ConversionError(
            f"{ctx.operator}: self or target is of floats", got=f"{x.type}, {target.type}"
        )
    difference = ctx.emit(ops.Sub(*single(ctx, *ctx.promote(x, target))), "difference")
    loss = reduced(ctx, compute(difference), reduction)
    return ctx.cast(loss, kind if dtype is None else dtype)
