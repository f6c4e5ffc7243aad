"""Converters of operators that make tensors."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, DType, Value, ops
from fwd_ops_torch.converting import ConversionContext, Number, Operand, converts
from fwd_ops_torch.converting.context import default_float

#: Arguments that every operator which makes a tensor has.
PLACE = dict.fromkeys(
    ("layout", "device", "pin_memory", "memory_format"), "a graph has one device and one layout"
)


@converts("aten::full", no_effect=PLACE)
def full(
    ctx: ConversionContext, size: Sequence[Dim], fill_value: Number, dtype: DType | None = None
) -> Value:
    """aten::full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, fill_value, dtype if dtype is not None else _dtype_of(fill_value))


@converts("aten::zeros", no_effect=PLACE)
def zeros(ctx: ConversionContext, size: Sequence[Dim], dtype: DType | None = None) -> Value:
    """aten::zeros(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 0, dtype if dtype is not None else default_float())


@converts("aten::ones", no_effect=PLACE)
def ones(ctx: ConversionContext, size: Sequence[Dim], dtype: DType | None = None) -> Value:
    """aten::ones(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 1, dtype if dtype is not None else default_float())


@converts(
    "aten::empty",
    "aten::empty_permuted",
    "aten::empty_strided",
    no_effect=PLACE | dict.fromkeys(("physical_layout", "stride"), "a graph has one layout"),
)
def empty(ctx: ConversionContext, size: Sequence[Dim], dtype: DType | None = None) -> Value:
    """aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor. Zeros.

    Torch leaves what was in the memory, so any number is right; zeros are the same in every
    build and no NaN.
    """
    return zeros(ctx, size, dtype)


@converts(
    "aten::new_empty",
    "aten::new_empty_strided",
    no_effect=PLACE | {"stride": "a graph has one layout"},
)
def new_empty(
    ctx: ConversionContext, x: Value, size: Sequence[Dim], dtype: DType | None = None
) -> Value:
    """aten::new_empty(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor. Zeros."""
    return new_zeros(ctx, x, size, dtype)


@converts("aten::empty_like", no_effect=PLACE)
def empty_like(ctx: ConversionContext, x: Value, dtype: DType | None = None) -> Value:
    """aten::empty_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor. Zeros."""
    return zeros_like(ctx, x, dtype)


@converts("aten::new_zeros", no_effect=PLACE)
def new_zeros(
    ctx: ConversionContext, x: Value, size: Sequence[Dim], dtype: DType | None = None
) -> Value:
    """aten::new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 0, dtype if dtype is not None else x.type.dtype)


@converts("aten::new_ones", no_effect=PLACE)
def new_ones(
    ctx: ConversionContext, x: Value, size: Sequence[Dim], dtype: DType | None = None
) -> Value:
    """aten::new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 1, dtype if dtype is not None else x.type.dtype)


@converts("aten::new_full", no_effect=PLACE)
def new_full(
    ctx: ConversionContext,
    x: Value,
    size: Sequence[Dim],
    fill_value: Number,
    dtype: DType | None = None,
) -> Value:
    """aten::new_full(Tensor self, SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, fill_value, dtype if dtype is not None else x.type.dtype)


@converts("aten::zeros_like", no_effect=PLACE)
def zeros_like(ctx: ConversionContext, x: Value, dtype: DType | None = None) -> Value:
    """aten::zeros_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, x.type.shape, 0, dtype if dtype is not None else x.type.dtype)


@converts("aten::ones_like", no_effect=PLACE)
def ones_like(ctx: ConversionContext, x: Value, dtype: DType | None = None) -> Value:
    """aten::ones_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, x.type.shape, 1, dtype if dtype is not None else x.type.dtype)


@converts("aten::full_like", no_effect=PLACE)
def full_like(
    ctx: ConversionContext, x: Value, fill_value: Number, dtype: DType | None = None
) -> Value:
    """aten::full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, x.type.shape, fill_value, dtype if dtype is not None else x.type.dtype)


@converts("aten::scalar_tensor", no_effect=PLACE)
def scalar_tensor(ctx: ConversionContext, s: Operand, dtype: DType | None = None) -> Value:
    """aten::scalar_tensor(Scalar s, *, ScalarType? dtype=None, ...) -> Tensor. Also of run-time numbers."""
    target = dtype if dtype is not None else default_float()
    if isinstance(s, Value):
        return ctx.cast(ctx.emit(ops.Reshape(s, ()), "number"), target)
    if isinstance(s, DimExpr) and target in (DType.INT32, DType.INT64):
        return ctx.emit(ops.DimValue(s, target))
    return ctx.number(s, target)


def _full(ctx: ConversionContext, size: Sequence[Dim], number: Number, dtype: DType) -> Value:
    if any(isinstance(dim, int) and dim < 0 for dim in size):
        raise ConversionError(f"{ctx.operator}: sizes must not be negative", got=list(size))
    if isinstance(number, DimExpr):
        return ctx.emit(ops.Expand(ctx.number(number, dtype), tuple(size)))
    if dtype is DType.BOOL:
        return ctx.emit(ops.Full(tuple(size), bool(number), dtype))
    value = float(number) if dtype.is_float else int(number)
    return ctx.emit(ops.Full(tuple(size), value, dtype))


def _dtype_of(number: Number) -> DType:
    if isinstance(number, bool):
        return DType.BOOL
    return default_float() if isinstance(number, float) else DType.INT64
