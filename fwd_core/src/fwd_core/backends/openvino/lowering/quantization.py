"""Numbers in 8 bits and back, in the form that OpenVINO finds integer kernels by.

That is FakeQuantize with integers as its output range, a conversion to int8 or uint8, and
conversion to float, subtraction and multiplication behind it; its low precision transformations
move the latter behind the product. Where the integers themselves are read, they are composed
instead: FakeQuantize may round a number next to a tie the other way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.backends.openvino.types import element_type
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Node, Value
from fwd_core.ir.operator import Operator
from fwd_core.ir.ops import elementwise, shape
from fwd_core.ir.ops import quantization as ops
from fwd_core.ir.ops.attention import Attention
from fwd_core.ir.ops.linear import Linear, MatMul
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


def not_in_a_pair(_ctx: OpenVINOLowering, op: ops.Quantize) -> str | None:
    """FakeQuantize takes one constant range; what is read as integers is computed exactly."""
    if any(value is not None and value.constant is None for value in (op.scale, op.zero_point)):
        return "its scale and zero point must be constants"
    if op.axis is not None:
        return "FakeQuantize of an activation has one range: several are taken along some axes only"
    node = next(user for user in op.x.users if user.op is op)
    if node.output in node.output.graph.outputs or not _is_dequantized(node.output):
        return "its integers are read by others than Dequantize"
    if any(_is_masked_attention(reader) for user in node.output.users for reader in _readers(user)):
        # OpenVINO 2026.4 gives other numbers where query, key and value are all in 8 bits.
        return "attention with a mask is wrong in integers"
    return None


#: What OpenVINO carries integers over, from where they were made to an attention.
_CARRIED = (
    *(shape.Reshape, shape.Squeeze, shape.Unsqueeze, shape.Transpose, shape.Expand, shape.Concat),
    *(shape.Slice, shape.Pad, elementwise.Mul, elementwise.Div),
)


def _readers(node: Node) -> Iterator[Operator]:
    """What reads a node's results, also behind what integers are carried over."""
    front, seen = [node], {node}
    while front:
        for output in front.pop().outputs:
            for reader in output.users:
                yield reader.op
                if isinstance(reader.op, _CARRIED) and reader not in seen:
                    seen.add(reader)
                    front.append(reader)


def _is_masked_attention(op: Operator) -> bool:
    return isinstance(op, Attention) and op.mask is not None


@lowering("openvino", ops.Quantize, unless=not_in_a_pair)
def quantize(ctx: OpenVINOLowering, op: ops.Quantize) -> Output:
    """FakeQuantize to integers, of as many levels as OpenVINO has integer kernels for."""
    scale = _numbers(op.scale, op)  # of rank 0
    zero = np.float32(0) if op.zero_point is None else _numbers(op.zero_point, op)
    least, greatest = op.dtype.limits
    # Other ranges are cut first: only whole bytes, or those without -128, become kernels.
    low = op.low if (op.low, op.high) == (least + 1, greatest) else least
    x = ctx[op.x]
    if _follows_a_product(op.x):
        x = ctx.opset.prelu(x, ctx.constant(np.ones(1, np.float32))).output(0)

    def bound(integer: float) -> Output:
        return ctx.constant(np.asarray((integer - zero) * scale, np.float32))

    if low < op.low:
        x = ctx.opset.maximum(x, bound(op.low)).output(0)
    if op.high < greatest:
        x = ctx.opset.minimum(x, bound(op.high)).output(0)
    range_ = [ctx.number(integer, DType.FLOAT32) for integer in (low, greatest)]
    levels = int(greatest - low) + 1
    made = ctx.opset.fake_quantize(x, bound(low), bound(greatest), *range_, levels)
    assert ctx.node is not None
    held = ctx.opset.convert(made, element_type(op.dtype)).output(0)
    ctx.memo["held", ctx.node.output] = held
    return ctx.opset.convert(held, element_type(DType.INT32)).output(0)


@lowering("openvino", ops.Dequantize)
def dequantize(ctx: OpenVINOLowering, op: ops.Dequantize) -> Output:
    """Convert to float, Subtract, Multiply; constants stay integers of 8 bits."""
    known = op.x.constant
    held = ctx.memo.get(("held", op.x))
    if held is None:
        held = ctx[op.x] if known is None else ctx.constant(known.data)
    x = ctx.opset.convert(held, element_type(DType.FLOAT32))
    if op.zero_point is not None:
        x = ctx.opset.subtract(x, _parameter(ctx, op.zero_point, op))
    return ctx.opset.multiply(x, _parameter(ctx, op.scale, op)).output(0)


def _follows_a_product(x: Value) -> bool:
    """Whether an identity must stand before FakeQuantize: PReLU of slope 1.

    OpenVINO 2026.4 computes matrices of few rows (8 at most were seen) and of up to 256 columns
    through a chain of products of integers in one kernel, where it takes the int32 sums for
    floats if FakeQuantize reads them with nothing but a scale or ReLU between. It knows no PReLU
    there, and hands it to the product's own kernel everywhere else, at no cost.
    """
    pending, seen = [x], {x}
    while pending:
        value = pending.pop()
        if value.type.rank > 2 or value.producer is None:
            continue
        made = value.producer.op
        if isinstance(made, (MatMul, Linear)):
            return True
        if isinstance(made, ops.Quantize):  # it has its own identity where it needs one
            continue
        new = [operand for operand in made.operands() if operand not in seen]
        seen.update(new)
        pending += new
    return False


def _is_dequantized(value: Value) -> bool:
    return all(isinstance(user.op, ops.Dequantize) for user in value.users)


def _parameter(ctx: OpenVINOLowering, value: Value, op: ops.Dequantize) -> Output:
    """A scale or a zero point as floats that broadcast over x."""
    if value.constant is not None:
        return ctx.constant(_numbers(value, op))
    tensor = ctx.opset.convert(ctx[value], element_type(DType.FLOAT32)).output(0)
    if op.axis is None:
        return tensor
    shape = _along(op)
    return ctx.opset.reshape(tensor, ctx.vector(shape), False).output(0)


def _numbers(value: Value, op: ops.Quantize | ops.Dequantize) -> NDArray[np.float32]:
    assert value.constant is not None
    numbers = value.constant.data.astype(np.float32)
    return numbers if op.axis is None else numbers.reshape(_along(op))


def _along(op: ops.Quantize | ops.Dequantize) -> tuple[int, ...]:
    assert op.axis is not None
    (size,) = op.scale.type.static_shape()
    return (*(1,) * op.axis, size, *(1,) * (op.x.type.rank - op.axis - 1))
