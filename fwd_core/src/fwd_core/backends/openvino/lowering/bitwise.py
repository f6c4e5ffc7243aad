"""Bits of integers. OpenVINO's operators on bits are exact on int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.ops import bitwise as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output

_BITS = {ops.BitAnd: "bitwise_and", ops.BitOr: "bitwise_or", ops.BitXor: "bitwise_xor"}
#: The last bit of the int32 that integers are computed as.
_LAST = 31


@lowering("openvino", *_BITS)
def bits(ctx: OpenVINOLowering, op: ops.BitwiseBinary) -> Node:
    """OpenVINO's operator of the same meaning. Small integers need no wrapping."""
    return getattr(ctx.opset, _BITS[type(op)])(ctx[op.a], ctx[op.b])


@lowering("openvino", ops.ShiftLeft)
def shift_left(ctx: OpenVINOLowering, op: ops.ShiftLeft) -> Output:
    """BitwiseLeftShift, and 0 beyond the 32 bits that it is defined for."""
    opset, a, b = ctx.opset, ctx[op.a], ctx[op.b]
    places = _limited(ctx, b)
    moved = opset.bitwise_left_shift(a, places).output(0)
    kept = opset.convert(integers.equal(opset, places, b), a.get_element_type())
    return integers.wrapped(opset, opset.multiply(moved, kept).output(0), op.a.type.dtype)


@lowering("openvino", ops.ShiftRight)
def shift_right(ctx: OpenVINOLowering, op: ops.ShiftRight) -> Output:
    """BitwiseRightShift; by the most that it is defined for where b is out of range."""
    opset, a, b = ctx.opset, ctx[op.a], ctx[op.b]
    last = integers.number(opset, _LAST, b)
    places = integers.select(opset, integers.negative(opset, b), last, _limited(ctx, b))
    return opset.bitwise_right_shift(a, places).output(0)


def _limited(ctx: OpenVINOLowering, places: Output) -> Output:
    opset = ctx.opset
    at_least = opset.maximum(places, integers.number(opset, 0, places))
    return opset.minimum(at_least, integers.number(opset, _LAST, places)).output(0)
