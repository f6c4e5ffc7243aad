"""Converters of operators that make tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Union

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, DType, Value, ops
from fwd_core.ir.dims import maximum
from fwd_ops_torch.converting import ConversionContext, Number, converts
from fwd_ops_torch.converting.context import default_float

_PLACE = dict.fromkeys(
    ("layout", "device", "pin_memory", "memory_format"), "a graph has one device and one layout"
)
Bound = Union[int, float, DimExpr]


@converts("aten::arange", no_effect=_PLACE)
def arange(
    ctx: ConversionContext,
    start: Bound = 0,
    end: Bound | None = None,
    step: Bound = 1,
    dtype: DType | None = None,
) -> Value:
    """aten::arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, ...) -> Tensor.

    Numbers or sizes; float bounds give torch's default float dtype.
    """
    assert end is not None
    bounds = (start, end, step)
    if any(isinstance(bound, float) for bound in bounds):
        if any(isinstance(bound, DimExpr) for bound in bounds):
            raise ctx.unsupported("end", "sizes and floats together")
        length: Dim = max(0, math.ceil((end - start) / step))  # type: ignore[operator]
        target = dtype if dtype is not None else default_float()
    else:
        target = dtype if dtype is not None else DType.INT64
        if isinstance(step, DimExpr) or step == 0:
            raise ctx.unsupported("step", "a step that is dynamic or zero")
        span: Any = end - start  # type: ignore[operator]
        length = maximum(-(-span // step), 0)
    if target is DType.BOOL:
        raise ctx.unsupported("dtype", "a range of bool")
    return ctx.emit(ops.Arange(length, start, step, target))


@converts("aten::full", no_effect=_PLACE)
def full(
    ctx: ConversionContext, size: Sequence[Dim], fill_value: Number, dtype: DType | None = None
) -> Value:
    """aten::full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, fill_value, dtype if dtype is not None else _dtype_of(fill_value))


@converts("aten::zeros", no_effect=_PLACE)
def zeros(ctx: ConversionContext, size: Sequence[Dim], dtype: DType | None = None) -> Value:
    """aten::zeros(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 0, dtype if dtype is not None else default_float())


@converts("aten::ones", no_effect=_PLACE)
def ones(ctx: ConversionContext, size: Sequence[Dim], dtype: DType | None = None) -> Value:
    """aten::ones(SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 1, dtype if dtype is not None else default_float())


@converts("aten::new_zeros", no_effect=_PLACE)
def new_zeros(
    ctx: ConversionContext, x: Value, size: Sequence[Dim], dtype: DType | None = None
) -> Value:
    """aten::new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 0, dtype if dtype is not None else x.type.dtype)


@converts("aten::new_ones", no_effect=_PLACE)
def new_ones(
    ctx: ConversionContext, x: Value, size: Sequence[Dim], dtype: DType | None = None
) -> Value:
    """aten::new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, 1, dtype if dtype is not None else x.type.dtype)


@converts("aten::new_full", no_effect=_PLACE)
def new_full(
    ctx: ConversionContext,
    x: Value,
    size: Sequence[Dim],
    fill_value: Number,
    dtype: DType | None = None,
) -> Value:
    """aten::new_full(Tensor self, SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, size, fill_value, dtype if dtype is not None else x.type.dtype)


@converts("aten::zeros_like", no_effect=_PLACE)
def zeros_like(ctx: ConversionContext, x: Value, dtype: DType | None = None) -> Value:
    """aten::zeros_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, x.type.shape, 0, dtype if dtype is not None else x.type.dtype)


@converts("aten::ones_like", no_effect=_PLACE)
def ones_like(ctx: ConversionContext, x: Value, dtype: DType | None = None) -> Value:
    """aten::ones_like(Tensor self, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, x.type.shape, 1, dtype if dtype is not None else x.type.dtype)


@converts("aten::full_like", no_effect=_PLACE)
def full_like(
    ctx: ConversionContext, x: Value, fill_value: Number, dtype: DType | None = None
) -> Value:
    """aten::full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, ...) -> Tensor."""
    return _full(ctx, x.type.shape, fill_value, dtype if dtype is not None else x.type.dtype)


@converts("aten::scalar_tensor", no_effect=_PLACE)
def scalar_tensor(ctx: ConversionContext, s: Number, dtype: DType | None = None) -> Value:
    """aten::scalar_tensor(Scalar s, *, ScalarType? dtype=None, ...) -> Tensor."""
    target = dtype if dtype is not None else default_float()
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
