"""One-line converters for operators that look alike."""

from __future__ import annotations

from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Operator, Value
from fwd_ops_torch.converting import ConversionContext, Operand, converts

Unary = Callable[[ConversionContext, Value], Value]
Binary = Callable[[ConversionContext, Operand, Operand], Value]


def _finish(function: Callable[..., Value], name: str, doc: str, module: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = module


def _keys(*names: str) -> list[str]:
    keys: list[str] = []
    for name in names:
        keys += [f"aten::{name}"] if name.startswith("special_") else both(name)
    return keys


def both(*names: str) -> list[str]:
    """Keys of operators, and of their forms in place."""
    return [f"aten::{name}{written}" for name in names for written in ("", "_")]


def float_unary(module: str, name: str, op: Callable[[Value], Operator], *aliases: str) -> Unary:
    """A converter of ``aten::name`` and ``aten::name_``: floats as they are, integers as float.

    ``aliases`` are names of the same function; those of ``torch.special`` have no form in place.
    """

    @converts(*_keys(name, *aliases))
    def convert(ctx: ConversionContext, x: Value) -> Value:
        return ctx.emit(op(ctx.to_float(x)))

    _finish(
        convert, name, f"aten::{name}(Tensor self) -> Tensor. Integers and bool give float.", module
    )
    return convert


def same_unary(
    module: str, name: str, op: Callable[[Value], Operator], dtypes: str, *aliases: str
) -> Unary:
    """A converter of ``aten::name`` and ``aten::name_`` for the dtypes that the operator takes."""

    @converts(*_keys(name, *aliases))
    def convert(ctx: ConversionContext, x: Value) -> Value:
        return ctx.emit(op(x))

    _finish(convert, name, f"aten::{name}(Tensor self) -> Tensor. {dtypes}.", module)
    return convert


def rounding(module: str, name: str, op: Callable[[Value], Operator]) -> Unary:
    """A converter of ``aten::name`` that leaves integers as they are."""

    @converts(f"aten::{name}", f"aten::{name}_")
    def convert(ctx: ConversionContext, x: Value) -> Value:
        if x.type.dtype is DType.BOOL:
            raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
        return ctx.emit(op(x)) if x.type.dtype.is_float else x

    _finish(
        convert,
        name,
        f"aten::{name}(Tensor self) -> Tensor. Integers are returned as they are. Not bool.",
        module,
    )
    return convert


def in_single(ctx: ConversionContext, x: Value, compute: Callable[[Value], Value]) -> Value:
    """The result of ``compute``, which has steps that float16 and bfloat16 cannot hold.

    They are computed in float32, as torch does, and the result is given the dtype of x.
    """
    kept = x.type.dtype
    if x.type.dtype in (DType.FLOAT16, DType.BFLOAT16):
        x = ctx.cast(x, DType.FLOAT32)
    return ctx.cast(compute(x), kept)


def require_float(ctx: ConversionContext, x: Value) -> None:
    """Refuse integers and bool.

    Raises:
        ConversionError: The tensor is not of a float dtype.
    """
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)


def refuse_half(ctx: ConversionContext, x: Value) -> None:
    """Refuse float16 and bfloat16, as torch does where it has no kernel for them.

    Raises:
        ConversionError: The tensor is of one of them.
    """
    if x.type.dtype in (DType.FLOAT16, DType.BFLOAT16):
        raise ConversionError(
            f"{ctx.operator}: not for {x.type.dtype}", got=x.type, hint="cast to float32 before it"
        )


def comparison(
    module: str, name: str, op: Callable[[Value, Value], Operator], *aliases: str
) -> Binary:
    """A converter of ``aten::name`` and its aliases with a tensor or a number; bool out."""

    @converts(*(f"aten::{key}{end}" for key in (name, *aliases) for end in ("", "_")))
    def convert(ctx: ConversionContext, x: Operand, other: Operand) -> Value:
        a, b = ctx.promote(x, other)
        if a.type.dtype is DType.BOOL and name not in ("eq", "ne"):
            a, b = ctx.cast(a, DType.INT32), ctx.cast(b, DType.INT32)
        return ctx.emit(op(a, b))

    _finish(
        convert,
        name,
        f"aten::{name}(Tensor self, Tensor|Scalar other) -> Tensor. Any dtypes.",
        module,
    )
    return convert
