"""Converters of truth values: logical operators, choices by a condition, and near equality."""

from __future__ import annotations

import math

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converting import ConversionContext, Operand, converts


@converts("aten::logical_not", "aten::logical_not_")
def logical_not(ctx: ConversionContext, x: Value) -> Value:
    """aten::logical_not(Tensor self) -> Tensor. Any dtype; bool out."""
    return ctx.emit(ops.Not(ctx.cast(x, DType.BOOL)))


@converts("aten::logical_and", "aten::logical_and_")
def logical_and(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::logical_and(Tensor self, Tensor other) -> Tensor. Any dtypes; bool out."""
    return ctx.emit(ops.And(ctx.cast(x, DType.BOOL), ctx.cast(other, DType.BOOL)))


@converts("aten::logical_or", "aten::logical_or_")
def logical_or(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::logical_or(Tensor self, Tensor other) -> Tensor. Any dtypes; bool out."""
    return ctx.emit(ops.Or(ctx.cast(x, DType.BOOL), ctx.cast(other, DType.BOOL)))


@converts("aten::logical_xor", "aten::logical_xor_")
def logical_xor(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::logical_xor(Tensor self, Tensor other) -> Tensor. Any dtypes; bool out."""
    return ctx.emit(ops.Xor(ctx.cast(x, DType.BOOL), ctx.cast(other, DType.BOOL)))


@converts("aten::where")
def where(
    ctx: ConversionContext,
    condition: Value,
    self: Operand | None = None,
    other: Operand | None = None,
) -> Value:
    """aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor.

    Tensors or numbers. A condition alone is refused: the size of its result depends on data.
    """
    if self is None or other is None:
        raise ctx.unsupported(
            "condition", "the size of the result depends on data", "use where with three arguments"
        )
    _require_truths(ctx, "condition", condition, DType.BOOL, DType.UINT8)
    a, b = ctx.promote(self, other)
    return ctx.emit(ops.Where(ctx.cast(condition, DType.BOOL), a, b))


@converts("aten::masked_fill", "aten::masked_fill_")
def masked_fill(ctx: ConversionContext, x: Value, mask: Value, value: Operand) -> Value:
    """aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor. Keeps the dtype."""
    _require_truths(ctx, "mask", mask, DType.BOOL)
    if isinstance(value, Value) and value.type.rank:
        raise ConversionError(
            f"{ctx.operator}: value has no axes",
            expected="a number or a 0-d tensor",
            got=value.type,
            hint="use where for a tensor with axes",
        )
    filler = ctx.tensor(value, x.type.dtype)
    return ctx.emit(ops.Where(ctx.cast(mask, DType.BOOL), filler, x))


def _require_truths(ctx: ConversionContext, what: str, value: Value, *taken: DType) -> None:
    if value.type.dtype not in taken:
        raise ConversionError(
            f"{ctx.operator}: {what} does not hold truths",
            expected=" or ".join(map(str, taken)),
            got=value.type,
            hint=f"compare it first, as {what} != 0",
        )


@converts("aten::isclose")
def isclose(
    ctx: ConversionContext,
    x: Value,
    other: Value,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Value:
    """aten::isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor.

    One dtype for both; |self - other| is at most atol + rtol |other|, integers as float.
    """
    dtype = x.type.dtype
    if other.type.dtype is not dtype:
        raise ConversionError("isclose: both need one dtype", expected=dtype, got=other.type)
    if rtol < 0 or atol < 0:
        raise ConversionError("isclose: tolerances are 0 or more", got=f"{rtol}, {atol}")
    close = ctx.emit(ops.Equal(x, other), "equal")
    if equal_nan and dtype.is_float:
        both = ctx.emit(ops.And(*(ctx.emit(ops.NotEqual(one, one)) for one in (x, other))))
        close = ctx.emit(ops.Or(close, both))
    if rtol == 0 and atol == 0:
        return close
    a, b = ctx.to_float(x), ctx.to_float(other)
    kind = a.type.dtype
    share = ctx.emit(ops.Abs(ctx.emit(ops.Mul(b, ctx.number(rtol, kind)))))
    allowed = ctx.emit(ops.Add(share, ctx.number(atol, kind)), "allowed")
    apart = ctx.emit(ops.Abs(ctx.emit(ops.Sub(a, b))), "apart")
    finite = ctx.emit(ops.Less(apart, ctx.number(math.inf, kind)))
    near = ctx.emit(ops.And(finite, ctx.emit(ops.LessEqual(apart, allowed))))
    return ctx.emit(ops.Or(close, near))
