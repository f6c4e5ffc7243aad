"""Converters of operators that act on each element alone."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._factories import comparison
from fwd_ops_torch.converters._numerics import require_divisor
from fwd_ops_torch.converting import ConversionContext, Number, Operand, converts
from fwd_ops_torch.converting.promotion import result_dtype

eq = comparison(__name__, "eq", ops.Equal)
ne = comparison(__name__, "ne", ops.NotEqual, "not_equal")
lt = comparison(__name__, "lt", ops.Less, "less")
le = comparison(__name__, "le", ops.LessEqual, "less_equal")
gt = comparison(__name__, "gt", ops.Greater, "greater")
ge = comparison(__name__, "ge", ops.GreaterEqual, "greater_equal")


@converts("aten::add", "aten::add_")
def add(ctx: ConversionContext, x: Operand, other: Operand, alpha: Number = 1) -> Value:
    """aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor. bool adds as or."""
    a, b = ctx.promote(x, other)
    if a.type.dtype is DType.BOOL:
        return ctx.emit(ops.Or(a, _scaled(ctx, b, alpha)))
    return ctx.emit(ops.Add(a, _scaled(ctx, b, alpha)))


@converts("aten::sub", "aten::sub_", "aten::subtract", "aten::subtract_")
def sub(ctx: ConversionContext, x: Operand, other: Operand, alpha: Number = 1) -> Value:
    """aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor. Not bool."""
    if _is_bool(x) or _is_bool(other):
        raise ConversionError("sub: not for bool", hint="use logical_xor, or ~ to invert a mask")
    a, b = ctx.promote(x, other)
    return ctx.emit(ops.Sub(a, _scaled(ctx, b, alpha)))


@converts("aten::rsub")
def rsub(ctx: ConversionContext, x: Operand, other: Operand, alpha: Number = 1) -> Value:
    """aten::rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor: other - self."""
    return sub(ctx, other, x, alpha)


@converts("aten::mul", "aten::mul_", "aten::multiply", "aten::multiply_")
def mul(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::mul.Tensor(Tensor self, Tensor other) -> Tensor. bool multiplies as and."""
    a, b = ctx.promote(x, other)
    return ctx.emit(ops.And(a, b) if a.type.dtype is DType.BOOL else ops.Mul(a, b))


@converts("aten::div", "aten::div_", "aten::divide", "aten::divide_")
def div(
    ctx: ConversionContext, x: Operand, other: Operand, rounding_mode: str | None = None
) -> Value:
    """aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor.

    Without a rounding mode integers divide as float; ``floor`` and ``trunc`` keep the dtype.
    """
    if rounding_mode is None:
        dtype = result_dtype((x, other))
        a, b = ctx.promote(x, other, dtype=dtype if dtype.is_float else DType.FLOAT32)
        return ctx.emit(ops.Div(a, b))
    if rounding_mode not in ("floor", "trunc"):
        raise ConversionError(
            "div: unknown rounding_mode", expected="floor, trunc", got=rounding_mode
        )
    a, b = ctx.promote(x, other)
    require_divisor(ctx, a, b, other)
    return ctx.emit(ops.FloorDiv(a, b) if rounding_mode == "floor" else ops.TruncDiv(a, b))


@converts("aten::true_divide", "aten::true_divide_")
def true_divide(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::true_divide.Tensor(Tensor self, Tensor other) -> Tensor."""
    return div(ctx, x, other)


@converts("aten::floor_divide", "aten::floor_divide_")
def floor_divide(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::floor_divide(Tensor self, Tensor other) -> Tensor, toward minus infinity."""
    return div(ctx, x, other, "floor")


@converts("aten::remainder", "aten::remainder_")
def remainder(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::remainder.Tensor(Tensor self, Tensor other) -> Tensor, with the sign of other."""
    a, b = ctx.promote(x, other)
    require_divisor(ctx, a, b, other)
    return ctx.emit(ops.Mod(a, b))


@converts("aten::maximum")
def maximum(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::maximum(Tensor self, Tensor other) -> Tensor."""
    a, b = ctx.promote(x, other)
    return ctx.emit(ops.Or(a, b) if a.type.dtype is DType.BOOL else ops.Maximum(a, b))


@converts("aten::minimum")
def minimum(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::minimum(Tensor self, Tensor other) -> Tensor."""
    a, b = ctx.promote(x, other)
    return ctx.emit(ops.And(a, b) if a.type.dtype is DType.BOOL else ops.Minimum(a, b))


@converts("aten::pow", "aten::pow_")
def pow_(ctx: ConversionContext, x: Operand, exponent: Operand) -> Value:
    """aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor. Tensors or numbers."""
    dtype = result_dtype((x, exponent))
    if isinstance(exponent, int) and exponent < 0 and not dtype.is_float:
        raise ConversionError("integers to negative integer powers are not allowed", got=exponent)
    if isinstance(x, Value) and isinstance(exponent, (int, float)):
        base = ctx.cast(x, dtype)
        if exponent == 1:
            return base
        if exponent == 2:
            return ctx.emit(ops.Mul(base, base))
        if exponent == 0.5:
            return ctx.emit(ops.Sqrt(base))
        if exponent == -0.5:
            return ctx.emit(ops.Reciprocal(ctx.emit(ops.Sqrt(base))))
    return ctx.emit(ops.Pow(*ctx.promote(x, exponent)))


@converts("aten::clamp", "aten::clamp_", "aten::clip", "aten::clip_")
def clamp(
    ctx: ConversionContext,
    x: Value,
    min: Operand | None = None,
    max: Operand | None = None,
) -> Value:
    """aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor. Or tensor bounds."""
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds:
        raise ConversionError("clamp: at least one of min and max must not be None")
    dtype = result_dtype((x, *bounds))
    value = ctx.cast(x, dtype)
    if all(isinstance(bound, (int, float)) for bound in bounds):
        least, most = (None if bound is None else ctx.fitted(bound, dtype) for bound in (min, max))  # type: ignore[arg-type]
        return ctx.emit(ops.Clamp(value, least, most))
    if dtype is DType.BOOL and len(bounds) == 2:
        raise ConversionError("clamp: not for bool with two bounds", hint="use logical_and and _or")
    if min is not None:
        value = maximum(ctx, value, ctx.tensor(min, dtype))
    if max is not None:
        value = minimum(ctx, value, ctx.tensor(max, dtype))
    return value


@converts(
    "aten::contiguous",
    "aten::clone",
    "aten::detach",
    "aten::detach_",
    "aten::detach_copy",
    "aten::alias",
    "aten::alias_copy",
    "aten::lift_fresh",
    "aten::lift_fresh_copy",
    no_effect={"memory_format": "a graph has one layout"},
)
def identity(ctx: ConversionContext, x: Value) -> Value:
    """aten::contiguous(Tensor(a) self, *, MemoryFormat memory_format) -> Tensor(a). As it is."""
    del ctx
    return x


@converts(
    "aten::dropout",
    "aten::dropout_",
    "aten::feature_dropout",
    "aten::feature_dropout_",
    "aten::alpha_dropout",
    "aten::alpha_dropout_",
    "aten::feature_alpha_dropout",
    "aten::feature_alpha_dropout_",
    no_effect={"p": "dropout does nothing in evaluation mode"},
)
def dropout(ctx: ConversionContext, x: Value, train: bool) -> Value:
    """aten::dropout(Tensor input, float p, bool train) -> Tensor. Evaluation mode: as it is."""
    if train:
        raise ctx.unsupported("train", "dropout in training mode is random", "call model.eval()")
    return x


@converts("aten::native_dropout", no_effect={"p": "dropout does nothing in evaluation mode"})
def native_dropout(
    ctx: ConversionContext, x: Value, train: bool | None = None
) -> tuple[Value, Value]:
    """aten::native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor).

    Evaluation mode: as it is, and a mask that is true, of bool but for no elements. For torch no
    train is training.
    """
    if train is not False:
        raise ctx.unsupported("train", "dropout in training mode is random", "call model.eval()")
    mask = ctx.emit(ops.Full(x.type.shape, True, DType.BOOL), "mask")
    return x, ctx.cast(mask, x.type.dtype) if x.type.numel == 0 else mask


@converts("aten::copy_", "aten::copy", no_effect={"non_blocking": "a graph has one device"})
def copy_(
    ctx: ConversionContext, x: Value, src: Operand | None = None, other: Operand | None = None
) -> Value:
    """aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)."""
    given = src if src is not None else other
    assert given is not None
    return _filled(ctx, x, given)


@converts("aten::fill_", "aten::fill")
def fill(ctx: ConversionContext, x: Value, value: Operand) -> Value:
    """aten::fill.Scalar(Tensor self, Scalar value) -> Tensor. Keeps shape and dtype."""
    return _filled(ctx, x, value)


@converts("aten::zero_", "aten::zero")
def zero(ctx: ConversionContext, x: Value) -> Value:
    """aten::zero_(Tensor(a!) self) -> Tensor(a!)."""
    return _filled(ctx, x, 0)


def _filled(ctx: ConversionContext, x: Value, given: Operand) -> Value:
    return ctx.emit(ops.Expand(ctx.tensor(given, x.type.dtype), x.type.shape))


def _scaled(ctx: ConversionContext, value: Value, alpha: Number) -> Value:
    if isinstance(alpha, float) and not value.type.dtype.is_float:
        raise ConversionError("alpha must not be a float for integer tensors", got=alpha)
    if isinstance(alpha, bool) and value.type.dtype is not DType.BOOL:
        raise ConversionError("alpha may be bool for bool tensors only", got=alpha)
    if not isinstance(alpha, (int, float)) or alpha != 1:
        dtype = value.type.dtype
        factor = ctx.number(alpha, dtype, "alpha")
        return ctx.emit(ops.And(value, factor) if dtype is DType.BOOL else ops.Mul(value, factor))
    return value


def _is_bool(operand: Operand) -> bool:
    if isinstance(operand, Value):
        return operand.type.dtype is DType.BOOL
    return isinstance(operand, bool)
