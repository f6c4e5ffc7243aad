"""Converters of operators on the bits of integers; of bool they are logical ones."""

from __future__ import annotations

from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Operator, Value, ops
from fwd_ops_torch.converting import ConversionContext, Operand, converts
from fwd_ops_torch.converting.promotion import result_dtype

Make = Callable[[Value, Value], Operator]


@converts("aten::bitwise_and", "aten::bitwise_and_", "aten::__and__", "aten::__iand__")
def bitwise_and(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::bitwise_and.Tensor(Tensor self, Tensor other) -> Tensor. Integers and bool."""
    return _bits(ctx, x, other, ops.BitAnd, ops.And)


@converts("aten::bitwise_or", "aten::bitwise_or_", "aten::__or__", "aten::__ior__")
def bitwise_or(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::bitwise_or.Tensor(Tensor self, Tensor other) -> Tensor. Integers and bool."""
    return _bits(ctx, x, other, ops.BitOr, ops.Or)


@converts("aten::bitwise_xor", "aten::bitwise_xor_", "aten::__xor__", "aten::__ixor__")
def bitwise_xor(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::bitwise_xor.Tensor(Tensor self, Tensor other) -> Tensor. Integers and bool."""
    return _bits(ctx, x, other, ops.BitXor, ops.Xor)


@converts("aten::bitwise_not", "aten::bitwise_not_")
def bitwise_not(ctx: ConversionContext, x: Value) -> Value:
    """aten::bitwise_not(Tensor self) -> Tensor. bool; integers as -x - 1."""
    if x.type.dtype is DType.BOOL:
        return ctx.emit(ops.Not(x))
    if x.type.dtype.is_float:
        raise ConversionError("bitwise_not: not for floats", got=x.type)
    return ctx.emit(ops.Sub(ctx.emit(ops.Neg(x)), ctx.number(1, x.type.dtype)))


@converts(
    "aten::bitwise_left_shift", "aten::bitwise_left_shift_", "aten::__lshift__", "aten::__ilshift__"
)
def shift_left(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::bitwise_left_shift.Tensor(Tensor self, Tensor other) -> Tensor. Integers."""
    return _bits(ctx, x, other, ops.ShiftLeft)


@converts(
    "aten::bitwise_right_shift",
    "aten::bitwise_right_shift_",
    "aten::__rshift__",
    "aten::__irshift__",
)
def shift_right(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
    """aten::bitwise_right_shift.Tensor(Tensor self, Tensor other) -> Tensor. Integers."""
    return _bits(ctx, x, other, ops.ShiftRight)


def _bits(
    ctx: ConversionContext, x: Operand, other: Operand, integers: Make, bools: Make | None = None
) -> Value:
    dtype = result_dtype((x, other))
    make = bools if dtype is DType.BOOL else integers
    if dtype.is_float or make is None:
        raise ConversionError(
            f"{ctx.operator}: not for {dtype}",
            expected="integers" if bools is None else "integers or bool",
            hint="cast the operands to an integer dtype",
        )
    return ctx.emit(make(*ctx.promote(x, other)))
