"""Converters of operators of models that quantize themselves.

Models of quantization-aware training hold ``fake_quantize_*``, which become a pair of Quantize and
Dequantize; exported quantized ones hold ``quantized_decomposed::*``, one operator each. PyTorch
multiplies by 1 / scale where the graph's operators divide, and rounds integers to even before it
adds the zero point: a number next to a tie may come out one step away. What integer a NaN becomes
is not defined.
"""

from __future__ import annotations

from typing import Union

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converting import ConversionContext, converts

#: A number, or a tensor that holds it.
Scalar = Union[Value, float]
_BYTES = (DType.INT8, DType.UINT8)
_FLOATS = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)


@converts("aten::fake_quantize_per_tensor_affine")
def fake_quantize_per_tensor_affine(
    ctx: ConversionContext,
    x: Value,
    scale: Scalar,
    zero_point: Scalar,
    quant_min: int,
    quant_max: int,
) -> Value:
    """aten::fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, int quant_max) -> Tensor.

    Floats, as many integers as 8 bits hold, scales greater than 0.
    """
    return _fake_quantized(ctx, x, scale, zero_point, None, quant_min, quant_max)


@converts("aten::fake_quantize_per_tensor_affine_cachemask")
def fake_quantize_per_tensor_affine_cachemask(
    ctx: ConversionContext,
    x: Value,
    scale: Scalar,
    zero_point: Scalar,
    quant_min: int,
    quant_max: int,
) -> tuple[Value, Value]:
    """aten::fake_quantize_per_tensor_affine_cachemask(Tensor self, float scale, int zero_point, int quant_min, int quant_max) -> (Tensor output, Tensor mask).

    The same, and where nothing was cut off.
    """
    return _with_mask(ctx, x, scale, zero_point, None, quant_min, quant_max)


@converts("aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams")
def fake_quantize_per_tensor_affine_cachemask_tensor_qparams(
    ctx: ConversionContext,
    x: Value,
    scale: Value,
    zero_point: Value,
    fake_quant_enabled: Value,
    quant_min: int,
    quant_max: int,
) -> tuple[Value, Value]:
    """aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, Tensor fake_quant_enabled, int quant_min, int quant_max) -> (Tensor output, Tensor mask).

    The same, if a constant says so; else x as it is.
    """
    if _known(ctx, fake_quant_enabled, "fake_quant_enabled"):
        return _with_mask(ctx, x, scale, zero_point, None, quant_min, quant_max)
    return x, ctx.emit(ops.Full(x.type.shape, True, DType.BOOL), "mask")


@converts("aten::fake_quantize_per_channel_affine")
def fake_quantize_per_channel_affine(
    ctx: ConversionContext,
    x: Value,
    scale: Value,
    zero_point: Value,
    axis: int,
    quant_min: int,
    quant_max: int,
) -> Value:
    """aten::fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, int quant_min, int quant_max) -> Tensor.

    Floats, as many integers as 8 bits hold, scales greater than 0, zero points in whole numbers.
    """
    along = _checked(ctx, x, scale, zero_point, axis, quant_min, quant_max)
    return _fake_quantized(ctx, x, scale, zero_point, along, quant_min, quant_max)


@converts("aten::fake_quantize_per_channel_affine_cachemask")
def fake_quantize_per_channel_affine_cachemask(
    ctx: ConversionContext,
    x: Value,
    scale: Value,
    zero_point: Value,
    axis: int,
    quant_min: int,
    quant_max: int,
) -> tuple[Value, Value]:
    """aten::fake_quantize_per_channel_affine_cachemask(Tensor self, Tensor scale, Tensor zero_point, int axis, int quant_min, int quant_max) -> (Tensor output, Tensor mask).

    The same, and where nothing was cut off.
    """
    along = _checked(ctx, x, scale, zero_point, axis, quant_min, quant_max)
    return _with_mask(ctx, x, scale, zero_point, along, quant_min, quant_max)


@converts("quantized_decomposed::quantize_per_tensor")
def quantize_per_tensor(
    ctx: ConversionContext,
    x: Value,
    scale: Scalar,
    zero_point: Scalar,
    quant_min: Scalar,
    quant_max: Scalar,
    dtype: DType,
) -> Value:
    """quantized_decomposed::quantize_per_tensor(Tensor input, float scale, int zero_point, int quant_min, int quant_max, ScalarType dtype) -> Tensor.

    Float32, float16 and bfloat16 to int8 and uint8.
    """
    low, high = _bounds(ctx, quant_min, quant_max, dtype)
    _require_single(ctx, x)
    at, zero = _scale(ctx, scale, None), _zero(ctx, zero_point, None)
    return ctx.emit(ops.Quantize(x, at, zero, None, low, high, dtype))


@converts("quantized_decomposed::quantize_per_channel")
def quantize_per_channel(
    ctx: ConversionContext,
    x: Value,
    scales: Value,
    zero_points: Value,
    axis: int,
    quant_min: int,
    quant_max: int,
    dtype: DType,
) -> Value:
    """quantized_decomposed::quantize_per_channel(Tensor input, Tensor scales, Tensor zero_points, int axis, int quant_min, int quant_max, ScalarType dtype) -> Tensor.

    Float32, float16 and bfloat16 to int8 and uint8.
    """
    low, high = _bounds(ctx, quant_min, quant_max, dtype)
    _require_single(ctx, x)
    along = ctx.axis_to_cut(axis, x.type.rank, "quantize")
    at, zero = _scale(ctx, scales, along), _zero(ctx, zero_points, along)
    return ctx.emit(ops.Quantize(x, at, zero, along, low, high, dtype))


@converts(
    "quantized_decomposed::dequantize_per_tensor",
    no_effect={
        "quant_min": "it says what was done when the integers were made",
        "quant_max": "it says what was done when the integers were made",
    },
)
def dequantize_per_tensor(
    ctx: ConversionContext,
    x: Value,
    scale: Scalar,
    zero_point: Scalar,
    dtype: DType,
    out_dtype: DType | None = None,
) -> Value:
    """quantized_decomposed::dequantize_per_tensor(Tensor input, float scale, int zero_point, int quant_min, int quant_max, ScalarType dtype, *, ScalarType? out_dtype=None) -> Tensor.

    Int8 and uint8 to floats.
    """
    made = _made(ctx, x, dtype, out_dtype)
    at, zero = _scale(ctx, scale, None), _zero(ctx, zero_point, None)
    return ctx.emit(ops.Dequantize(x, at, zero, None, made))


@converts("quantized_decomposed::dequantize_per_channel")
def dequantize_per_channel(
    ctx: ConversionContext,
    x: Value,
    scales: Value,
    zero_points: Value | None,
    axis: int,
    quant_min: int,
    quant_max: int,
    dtype: DType,
    out_dtype: DType | None = None,
) -> Value:
    """quantized_decomposed::dequantize_per_channel(Tensor input, Tensor scales, Tensor? zero_points, int axis, int quant_min, int quant_max, ScalarType dtype, *, ScalarType? out_dtype=None) -> Tensor.

    Int8 and uint8 to floats.
    """
    made = _made(ctx, x, dtype, out_dtype)
    _bounds(ctx, quant_min, quant_max, dtype)
    along = ctx.axis_to_cut(axis, x.type.rank, "dequantize")
    at = _scale(ctx, scales, along)
    zero = None if zero_points is None else _zero(ctx, zero_points, along)
    return ctx.emit(ops.Dequantize(x, at, zero, along, made))


def _fake_quantized(
    ctx: ConversionContext,
    x: Value,
    scale: Scalar,
    zero_point: Scalar,
    axis: int | None,
    low: int,
    high: int,
) -> Value:
    dtype = _byte(ctx, x, low, high)
    if not isinstance(zero_point, Value) and not low <= zero_point <= high:
        raise _misplaced(ctx, low, high, zero_point)
    at, zero = _scale(ctx, scale, axis), _zero(ctx, zero_point, axis)
    held = ctx.emit(ops.Quantize(x, at, zero, axis, low, high, dtype), "quantized")
    return ctx.emit(ops.Dequantize(held, at, zero, axis, x.type.dtype))


def _with_mask(
    ctx: ConversionContext,
    x: Value,
    scale: Scalar,
    zero_point: Scalar,
    axis: int | None,
    low: int,
    high: int,
) -> tuple[Value, Value]:
    """Fake quantized, and where x is within the integers' range."""
    made = _fake_quantized(ctx, x, scale, zero_point, axis, low, high)

    def along(value: Value) -> Value:
        single = ctx.cast(value, DType.FLOAT32)
        if axis is None:
            return single
        shape = (*(1,) * axis, single.type.shape[0], *(1,) * (x.type.rank - axis - 1))
        return ctx.emit(ops.Reshape(single, shape), "along")

    steps = ctx.emit(ops.Div(ctx.cast(x, DType.FLOAT32), along(_scale(ctx, scale, axis))), "steps")
    whole = ctx.emit(ops.Round(steps), "whole")
    moved = ctx.emit(ops.Add(whole, along(_zero(ctx, zero_point, axis))), "moved")
    least, greatest = (ctx.number(bound, DType.FLOAT32) for bound in (low, high))
    above = ctx.emit(ops.GreaterEqual(moved, least), "above")
    below = ctx.emit(ops.LessEqual(moved, greatest), "below")
    return made, ctx.emit(ops.And(above, below), "mask")


def _checked(
    ctx: ConversionContext,
    x: Value,
    scale: Value,
    zero_point: Value,
    axis: int,
    low: int,
    high: int,
) -> int:
    """The axis counted from the front, which torch wants so; what torch checks is checked."""
    if not 0 <= axis < x.type.rank:
        raise ConversionError(
            f"{ctx.operator}: no such axis, counted from the front",
            expected=f"0 … {x.type.rank - 1}",
            got=axis,
        )
    if scale.type.dtype not in (DType.FLOAT32, DType.BFLOAT16):
        raise ConversionError(f"{ctx.operator}: scales are float32", got=scale.type)
    if zero_point.type.dtype not in (DType.INT32, DType.FLOAT32, DType.FLOAT16):
        raise ConversionError(
            f"{ctx.operator}: zero points are int32, float32 or float16", got=zero_point.type
        )
    known = zero_point.constant
    if known is not None and known.dtype is DType.INT32 and known.data.size:
        least, greatest = int(known.data.min()), int(known.data.max())
        if least < low or greatest > high:
            raise _misplaced(ctx, low, high, f"{least} … {greatest}")
    return axis


def _misplaced(ctx: ConversionContext, low: int, high: int, got: object) -> ConversionError:
    return ConversionError(
        f"{ctx.operator}: the zero point is not among the integers",
        expected=f"{low} … {high}",
        got=got,
    )


def _byte(ctx: ConversionContext, x: Value, low: int, high: int) -> DType:
    """The type of 8 bits that holds these integers."""
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)
    if low > high:
        raise ConversionError(
            f"{ctx.operator}: quant_min is greater than quant_max", got=f"{low} … {high}"
        )
    for dtype in _BYTES:
        least, greatest = dtype.limits
        if least <= low < high <= greatest:
            return dtype
    raise ctx.unsupported(
        "quant_min",
        f"integers {low} … {high} are not several of int8 or of uint8, which engines compute in",
        "quantize to 8 bits, or leave this part of the model in floats",
    )


def _bounds(
    ctx: ConversionContext, quant_min: Scalar, quant_max: Scalar, dtype: DType
) -> tuple[int, int]:
    """The integers that are used of a type of 8 bits."""
    low, high = (int(_known(ctx, bound, "quant_min")) for bound in (quant_min, quant_max))
    _require_byte(ctx, dtype)
    least, greatest = dtype.limits
    if low < least or high > greatest:
        raise ConversionError(
            f"{ctx.operator}: quant_min or quant_max is out of bounds for {dtype}",
            expected=f"{least} … {greatest}",
            got=f"{low} … {high}",
        )
    if low >= high:
        raise ctx.unsupported(
            "quant_min", f"no several integers are from {low} to {high}", "let it be the lesser"
        )
    return low, high


def _require_byte(ctx: ConversionContext, dtype: DType) -> None:
    if dtype not in _BYTES:
        raise ctx.unsupported(
            "dtype",
            f"{dtype} is not of 8 bits, as engines' integer kernels are",
            "quantize to int8 or uint8, or leave this part of the model in floats",
        )


def _require_single(ctx: ConversionContext, x: Value) -> None:
    if x.type.dtype not in _FLOATS:
        raise ConversionError(
            f"{ctx.operator}: quantizes float32, float16 and bfloat16", got=x.type
        )


def _made(ctx: ConversionContext, x: Value, dtype: DType, out_dtype: DType | None) -> DType:
    """The type that a tensor of 8 bits is dequantized to."""
    if x.type.dtype is not dtype:
        raise ConversionError(
            f"{ctx.operator}: the tensor is not of the type that dtype says",
            expected=dtype,
            got=x.type,
        )
    _require_byte(ctx, dtype)
    made = DType.FLOAT32 if out_dtype is None else out_dtype
    if not made.is_float:
        raise ctx.unsupported("out_dtype", f"{made} is no float", "dequantize to a float type")
    return made


def _known(ctx: ConversionContext, value: Scalar, what: str) -> float:
    """A number, or what a constant holds."""
    if not isinstance(value, Value):
        return value
    if value.constant is None or value.type.numel != 1:
        raise ctx.unsupported(what, "it must be one constant number", "make it a buffer")
    return float(value.constant.numpy().reshape(-1)[0])


def _scale(ctx: ConversionContext, scale: Scalar, axis: int | None) -> Value:
    if not isinstance(scale, Value):
        return ctx.constant(np.float64(scale), DType.FLOAT32, "scale")
    return _parameter(ctx, scale, DType.FLOAT32, axis, "scale")


def _zero(ctx: ConversionContext, zero: Scalar, axis: int | None) -> Value:
    if not isinstance(zero, Value):
        zero = ctx.number(zero, DType.INT32, "zero_point")
    elif zero.type.dtype.is_float:
        known = zero.constant
        if known is None or (np.rint(known.numpy()) != known.numpy()).any():
            raise ctx.unsupported(
                "zero_point", "it must hold whole numbers", "round it: zero_point.round().int()"
            )
    return _parameter(ctx, zero, DType.INT32, axis, "zero_point")


def _parameter(
    ctx: ConversionContext, value: Value, dtype: DType, axis: int | None, name: str
) -> Value:
    """One number of rank 0, or a number for each of an axis; constants stay constants."""
    if axis is None and value.type.numel != 1:
        raise ConversionError(
            f"{ctx.operator}: {name} holds one number", expected="1 element", got=value.type
        )
    known, shape = value.constant, () if axis is None else value.type.shape
    if value.type.dtype is dtype and value.type.shape == shape:
        return value
    if known is not None:
        numbers = known.numpy().astype(dtype.storage)
        return ctx.constant(numbers.reshape(()) if axis is None else numbers, dtype, name)
    cast = ctx.cast(value, dtype)
    return cast if value.type.shape == shape else ctx.emit(ops.Reshape(cast, shape), name)
