"""Additions to convolutions of integers, in the form that OpenVINO makes one kernel of.

OpenVINO 2026 computes ``quantize(convolution + other)`` in the convolution's kernel, but hands
additions to its kernel generator first, unless FakeQuantize stands before them. One of 2**24
levels between bounds that the result cannot reach changes no number by more than float32 does,
and keeps the addition where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.ops import activation, convolution, elementwise, quantization

if TYPE_CHECKING:
    from openvino import Output

Floats: TypeAlias = NDArray[np.float64]

_LEVELS = 1 << 24
#: What convolutions take in after an addition.
_ACTIVATIONS = (activation.Relu, elementwise.Clamp, activation.Silu, activation.Elu)


def addends(ctx: OpenVINOLowering, op: elementwise.Add) -> tuple[Output, Output]:
    """Both operands, the one that a convolution makes within its bounds."""
    for product, other in ((op.a, op.b), (op.b, op.a)):
        limit = _limit(ctx, op, product, other)
        if limit is not None:
            bounds = [ctx.number(number, DType.FLOAT32) for number in (-limit, limit)]
            held = ctx.opset.fake_quantize(ctx[product], *bounds, *bounds, _LEVELS).output(0)
            return (held, ctx[other]) if product is op.a else (ctx[other], held)
    return ctx[op.a], ctx[op.b]


def _limit(
    ctx: OpenVINOLowering, op: elementwise.Add, product: Value, other: Value
) -> float | None:
    """What the magnitudes of a convolution of integers cannot exceed, if it takes the sum in."""
    made = product.producer
    if made is None or not isinstance(made.op, convolution.Convolution) or made.op.x is other:
        return None
    assert ctx.node is not None
    if product.users != {ctx.node: 1} or product in product.graph.outputs:
        return None
    if product.type != other.type or not _is_quantized(ctx.node.output):
        return None
    if other.constant is not None or _pair(other) is None:
        return None
    greatest, bias = _greatest(made.op.x), made.op.bias
    weight = _numbers(made.op.weight)
    if greatest is None or weight is None or (bias is not None and bias.constant is None):
        return None
    sums = np.abs(weight).sum(axis=tuple(range(1, weight.ndim))) * greatest
    if bias is not None and bias.constant is not None:
        sums = sums + np.abs(bias.constant.data)
    limit = float(sums.max())
    return limit if 0 < limit <= DType.FLOAT32.limits[1] else None


def _is_quantized(value: Value) -> bool:
    """Whether all that reads it, or its activation, quantizes it."""
    users = list(value.users)
    if len(users) == 1 and isinstance(users[0].op, _ACTIVATIONS):
        return value not in value.graph.outputs and _is_quantized(users[0].output)
    quantizing = all(isinstance(user.op, quantization.Quantize) for user in users)
    return bool(users) and quantizing and value not in value.graph.outputs


def _greatest(x: Value) -> float | None:
    """The greatest magnitude that a dequantized tensor may have."""
    pair = _pair(x)
    if pair is None or pair.axis is not None:
        return None
    limits = np.array(pair.x.type.dtype.limits, np.float64)
    return float(np.abs(_dequantized(pair, limits)).max())


def _numbers(x: Value) -> Floats | None:
    """The numbers of a constant that is dequantized."""
    pair = _pair(x)
    if pair is None or pair.x.constant is None:
        return None
    return _dequantized(pair, pair.x.constant.data.astype(np.float64))


def _pair(x: Value) -> quantization.Dequantize | None:
    op = x.producer.op if x.producer is not None else None
    if not isinstance(op, quantization.Dequantize):
        return None
    parameters = [op.scale] + ([] if op.zero_point is None else [op.zero_point])
    return op if all(one.constant is not None for one in parameters) else None


def _dequantized(pair: quantization.Dequantize, integers: Floats) -> Floats:
    def along(parameter: Value) -> Floats:
        assert parameter.constant is not None, "a pair of constants was asked for"
        data: Floats = parameter.constant.data.astype(np.float64)
        if pair.axis is None:
            return data
        return data.reshape((*(1,) * pair.axis, -1, *(1,) * (integers.ndim - pair.axis - 1)))

    moved = integers if pair.zero_point is None else integers - along(pair.zero_point)
    return moved * along(pair.scale)
