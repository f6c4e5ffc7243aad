"""Numbers in 8 bits and back: the layers from which TensorRT makes products of integers.

TensorRT quantizes to int8 around 0, and only dequantizes what was quantized or is a constant;
uint8 around 128 is the same, 128 further.
What it does not take is composed from other layers, which computes the same numbers as floats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.lowering import LoweringContext
from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.tensor import Tensor
from fwd_core.plugins.markers import lowering

#: Numbers below it have fewer digits in half, so a scale of half would be another one.
_LEAST_HALF = np.float32(2.0**-14)


def unquantizable(_ctx: LoweringContext[ITensor], op: ops.Quantize) -> str | None:
    """Layers quantize by one constant scale, around the middle, for others that dequantize."""
    reason = _reason(op, op.dtype)
    if reason is not None:
        return reason
    if op.axis is not None:
        return "TensorRT quantizes weights alone by several scales, and these are no constants"
    node = next(user for user in op.x.users if user.op is op)
    users = [user.op for user in node.output.users]
    if node.output in node.output.graph.outputs or not users:
        return "its integers are an output"
    if all(isinstance(user, ops.Dequantize) and not _reason(user, op.dtype) for user in users):
        return None
    return "its integers are read by others than layers that dequantize them"


def undequantizable(ctx: LoweringContext[ITensor], op: ops.Dequantize) -> str | None:
    """Layers dequantize constants and what others quantized, by constant scales."""
    reason = _reason(op, op.x.type.dtype)
    if reason is not None or op.x.constant is not None:
        return reason
    maker = None if op.x.producer is None else op.x.producer.op
    if isinstance(maker, ops.Quantize) and unquantizable(ctx, maker) is None:
        return None
    return "its integers are neither quantized nor constant"


@lowering("tensorrt", ops.Quantize, unless=unquantizable)
def quantize(ctx: TensorRTLowering, op: ops.Quantize) -> ITensor:
    """A layer that quantizes; where fewer integers are used, x is cut to what they stand for."""
    return _quantized(ctx, op, _within(ctx, op, ctx[op.x]), op.x.type.dtype)


@lowering("tensorrt", ops.Dequantize, unless=undequantizable)
def dequantize(ctx: TensorRTLowering, op: ops.Dequantize) -> ITensor:
    """A layer that dequantizes; constants are integers of 8 bits before it.

    TensorRT 8 quantizes constants itself: it is given the floats that their integers stand for.
    """
    constant = op.x.constant
    if constant is None:
        x = ctx[op.x]
    elif ctx.features.byte_constants:
        held = Tensor((constant.data.astype(np.int32) - _further(constant.dtype)).astype(np.int8))
        ctx.kept.append(held)
        x = ctx("constant", held.shape, ctx.trt.Weights(held.data))
    else:
        integers = _numbers(op.x) - np.float32(_further(constant.dtype))
        numbers = integers * _spread(op, _numbers(op.scale))
        x = _quantized(ctx, op, ctx.constant(Tensor(numbers)), DType.FLOAT32)
    ctx.quantized = True
    wanted = ctx.computed(op.dtype)
    made = wanted if _has_scale(ctx, op, wanted) else "FLOAT"
    typed = (ctx.datatype(made),) if ctx.features.typed_quantization else ()
    layer = ctx.add("dequantize", x, _scale(ctx, op, made), *typed, **_axis(op))
    if not typed and made != "FLOAT":
        # Not run in CI: it needs TensorRT 8 and a GPU.
        layer.precision = ctx.datatype("INT8")
        layer.set_output_type(0, ctx.datatype(made))
        ctx.check(f"output of {layer.name}")
    result = ctx.output(layer)
    return result if made == wanted else ctx.cast(result, wanted)


def _quantized(
    ctx: TensorRTLowering, op: ops.Quantize | ops.Dequantize, x: ITensor, dtype: DType
) -> ITensor:
    ctx.quantized = True
    name = ctx.computed(dtype)
    if not _has_scale(ctx, op, name):
        x, name = ctx.cast(x, "FLOAT"), "FLOAT"
    typed = (ctx.datatype("INT8"),) if ctx.features.typed_quantization else ()
    return ctx("quantize", x, _scale(ctx, op, name), *typed, **_axis(op))


def _within(ctx: TensorRTLowering, op: ops.Quantize, x: ITensor) -> ITensor:
    scale, (least, greatest) = float(_numbers(op.scale)), op.dtype.limits
    rank, dtype = op.x.type.rank, op.x.type.dtype
    for operation, bound, limit in (("MAX", op.low, least), ("MIN", op.high, greatest)):
        if bound != limit:
            number = (bound - _further(op.dtype)) * scale
            x = ctx.elementwise(operation, x, ctx.scalar(number, dtype, rank))
    return x


def _reason(op: ops.Quantize | ops.Dequantize, dtype: DType) -> str | None:
    if op.x.type.rank == 0:
        return "TensorRT quantizes no single numbers"
    if op.scale.constant is None:
        return "its scale must be a constant"
    zero, middle = op.zero_point, _further(dtype)
    known = np.zeros(1) if zero is None else None if zero.constant is None else zero.constant.data
    if known is None or (known != np.int32(middle)).any():
        return f"TensorRT quantizes around the middle: a zero point of {middle} for {dtype}"
    return None


def _further(dtype: DType) -> int:
    """How much greater integers of a type are than the int8 that stand for them."""
    return 128 if dtype is DType.UINT8 else 0


def _has_scale(ctx: TensorRTLowering, op: ops.Quantize | ops.Dequantize, name: str) -> bool:
    """Whether a layer can be given the scale beside tensors of a type."""
    if ctx.features.single_scales or name == "FLOAT":
        return True
    scale, most = _numbers(op.scale), np.float32(DType.FLOAT16.limits[1])
    return bool(((scale >= _LEAST_HALF) & (scale <= most)).all())


def _scale(ctx: TensorRTLowering, op: ops.Quantize | ops.Dequantize, name: str) -> ITensor:
    assert op.scale.constant is not None
    scale = ctx.constant(op.scale.constant)
    return scale if ctx.features.single_scales or name == "FLOAT" else ctx.cast(scale, name)


def _axis(op: ops.Quantize | ops.Dequantize) -> dict[str, int]:
    return {} if op.axis is None else {"axis": op.axis}


def _numbers(value: Value) -> NDArray[np.float32]:
    assert value.constant is not None
    return value.constant.numpy().astype(np.float32)


def _spread(op: ops.Quantize | ops.Dequantize, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    if op.axis is None:
        return numbers
    return numbers.reshape((*(1,) * op.axis, -1, *(1,) * (op.x.type.rank - op.axis - 1)))
