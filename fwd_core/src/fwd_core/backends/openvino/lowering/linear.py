"""Matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import integers, reductions
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.graph import Value
from fwd_core.ir.ops import linear as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Node, Output


@lowering("openvino", ops.MatMul)
def matmul(ctx: OpenVINOLowering, op: ops.MatMul) -> Output:
    """MatMul of floats; of integers products that are summed, because MatMul rounds them."""
    a, b = ctx[op.a], ctx[op.b]
    if op.a.type.dtype.is_float:
        return ctx.opset.matmul(a, b, op.transpose_a, op.transpose_b).output(0)
    # [..., k, n, 1] times [..., k, 1, m], summed over k
    columns = _transposed(ctx, op.a) if not op.transpose_a else a
    rows = _transposed(ctx, op.b) if op.transpose_b else b
    products = ctx.opset.multiply(
        ctx.opset.unsqueeze(columns, ctx.vector([op.a.type.rank])),
        ctx.opset.unsqueeze(rows, ctx.vector([op.b.type.rank - 1])),
    )
    *lead, n, m = op.infer().shape
    k = op.a.type.shape[-2 if op.transpose_a else -1]
    axis = len(lead)
    total = reductions.fold(ctx, "add", products.output(0), (*lead, k, n, m), axis)
    total = ctx.opset.squeeze(total, ctx.vector([axis])).output(0)
    return integers.wrapped(ctx.opset, total, op.a.type.dtype)


@lowering("openvino", ops.Linear)
def linear(ctx: OpenVINOLowering, op: ops.Linear) -> Node:
    """MatMul with the weight as it is stored, then Add, which OpenVINO fuses."""
    product = ctx.opset.matmul(ctx[op.x], ctx[op.weight], False, True)
    return product if op.bias is None else ctx.opset.add(product, ctx[op.bias])


def _transposed(ctx: OpenVINOLowering, value: Value) -> Output:
    rank = value.type.rank
    order = ctx.vector([*range(rank - 2), rank - 1, rank - 2])
    return ctx.opset.transpose(ctx[value], order).output(0)
