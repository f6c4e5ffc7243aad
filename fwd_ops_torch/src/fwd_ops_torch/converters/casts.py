"""Converters from one dtype to another. A NaN, and what an integer dtype lacks, is undefined."""

from __future__ import annotations

from collections.abc import Callable

from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converting import ConversionContext, converts

_ONE_DEVICE = "a graph has one device and one layout"


@converts(
    "aten::to",
    "aten::_to_copy",
    no_effect=dict.fromkeys(
        ("device", "layout", "pin_memory", "non_blocking", "memory_format"), _ONE_DEVICE
    )
    | {"copy": "values of a graph are never written"},
)
def to(
    ctx: ConversionContext, x: Value, dtype: DType | None = None, other: Value | None = None
) -> Value:
    """aten::to.dtype(Tensor(a) self, ScalarType dtype, ...) -> Tensor(a). All overloads."""
    target = other.type.dtype if other is not None else dtype
    return x if target is None else _cast(ctx, x, target)


@converts("aten::type_as")
def type_as(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::type_as(Tensor self, Tensor other) -> Tensor."""
    return _cast(ctx, x, other.type.dtype)


@converts("prims::convert_element_type")
def convert_element_type(ctx: ConversionContext, a: Value, dtype: DType) -> Value:
    """prims::convert_element_type(Tensor a, ScalarType dtype) -> Tensor. Of decomposed programs."""
    return _cast(ctx, a, dtype)


def _old(name: str, dtype: DType) -> Callable[[ConversionContext, Value], Value]:
    """A converter of ``aten::_cast_<name>``, as old TorchScript programs have it."""

    @converts(f"aten::_cast_{name}", no_effect={"non_blocking": _ONE_DEVICE})
    def convert(ctx: ConversionContext, x: Value) -> Value:
        return _cast(ctx, x, dtype)

    convert.__name__ = convert.__qualname__ = f"cast_{name.lower()}"
    convert.__doc__ = (
        f"aten::_cast_{name}(Tensor self, bool non_blocking=False) -> Tensor. {dtype}."
    )
    return convert


def _cast(ctx: ConversionContext, x: Value, target: DType) -> Value:
    held = x.producer.op if x.producer is not None else None
    if isinstance(held, ops.DimValue) and target in (DType.INT32, DType.INT64):
        return x if target is held.dtype else ctx.emit(ops.DimValue(held.dim, target))
    return ctx.cast(x, target)


cast_byte = _old("Byte", DType.UINT8)
cast_char = _old("Char", DType.INT8)
cast_short = _old("Short", DType.INT16)
cast_int = _old("Int", DType.INT32)
cast_long = _old("Long", DType.INT64)
cast_half = _old("Half", DType.FLOAT16)
cast_float = _old("Float", DType.FLOAT32)
cast_double = _old("Double", DType.FLOAT64)
