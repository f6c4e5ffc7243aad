"""Reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino import floats, integers, reductions
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dims import bounds, product
from fwd_core.ir.ops import reduction as ops
from fwd_core.ir.ops.elementwise import Mul, Pow
from fwd_core.ir.ops.shape import Reshape, Unsqueeze
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output

_FUNCTIONS = {
    ops.ReduceSum: "reduce_sum",
    ops.ReduceMean: "reduce_mean",
    ops.ReduceProd: "reduce_prod",
    ops.ReduceMax: "reduce_max",
    ops.ReduceMin: "reduce_min",
    ops.ReduceAny: "reduce_logical_or",
    ops.ReduceAll: "reduce_logical_and",
}
_STEPS: dict[type[ops.Reduction], reductions.Step] = {
    ops.ReduceSum: "add",
    ops.ReduceProd: "multiply",
    ops.ReduceMax: "maximum",
    ops.ReduceMin: "minimum",
}


@lowering("openvino", *_FUNCTIONS)
def reduce(ctx: OpenVINOLowering, op: ops.Reduction) -> Output:
    """OpenVINO's reduction of floats and bools; of integers exact steps."""
    if not op.axes:
        return ctx[op.x]
    if op.x.type.dtype.is_integer:
        return _fold(ctx, op)
    x, axes = ctx[op.x], ctx.vector(op.axes)
    keepdims = op.keepdims or _is_reshaped(ctx)
    if isinstance(op, ops.ReduceMean) and _may_be_empty(op):
        # OpenVINO's mean of nothing is 0, not 0 / 0.
        total = reductions.reduce(ctx, "reduce_sum", x, op.axes, keepdims)
        count = ctx.scalar(product(op.x.type.shape[axis] for axis in op.axes))
        result = ctx.opset.divide(total, ctx.opset.convert_like(count, total)).output(0)
    elif _is_of_a_norm(ctx, op):
        result = ctx.opset.reduce_mean(x, axes, keepdims).output(0)
    else:
        result = reductions.reduce(ctx, _FUNCTIONS[type(op)], x, op.axes, keepdims)
    if isinstance(op, (ops.ReduceMax, ops.ReduceMin)):
        # OpenVINO's extrema pass over a NaN.
        found = ctx.opset.reduce_logical_or(ctx.opset.not_equal(x, x), axes, keepdims)
        nan = floats.constant(ctx.opset, float("nan"))
        result = ctx.opset.select(found, nan, result).output(0)
    return result if keepdims is op.keepdims else ctx.opset.squeeze(result, axes).output(0)


def _may_be_empty(op: ops.Reduction) -> bool:
    return any(bounds(op.x.type.shape[axis])[0] == 0 for axis in op.axes)


def _is_of_a_norm(ctx: OpenVINOLowering, op: ops.Reduction) -> bool:
    """Whether it is the mean in x / sqrt(mean(x * x) + epsilon), all of which is one kernel."""
    squares = op.x.producer
    if not isinstance(op, ops.ReduceMean) or squares is None or ctx.node is None:
        return False
    squared, *factors = squares.op.operands()
    if not isinstance(squares.op, Pow) and not (isinstance(squares.op, Mul) and squared in factors):
        return False
    value = ctx.node.output
    while value not in value.graph.outputs and len(value.users) == 1:
        (user,) = value.users
        others = [operand for operand in user.op.operands() if operand is not value]
        if squared in others:
            return squared.constant is None
        numbers = [other.constant for other in others]
        if len(user.outputs) > 1 or any(one is None or one.data.size != 1 for one in numbers):
            return False
        value = user.output
    return False


def _is_reshaped(ctx: OpenVINOLowering) -> bool:
    """Whether a new shape follows, which OpenVINO 2026.4 takes for the reduced axes put back.

    A sum over the first axis of [2, 3, 4] that is reshaped to [1, 12] it leaves as [3, 4].
    """
    users = ctx.node.output.users if ctx.node is not None else ()
    return any(isinstance(user.op, (Reshape, Unsqueeze)) for user in users)


def _fold(ctx: OpenVINOLowering, op: ops.Reduction) -> Output:
    x, shape = ctx[op.x], op.x.type.shape
    for axis in op.axes:
        x = reductions.fold(ctx, _STEPS[type(op)], x, shape, axis)
        shape = (*shape[:axis], 1, *shape[axis + 1 :])
    if not op.keepdims:
        x = ctx.opset.squeeze(x, ctx.vector(op.axes)).output(0)
    return integers.wrapped(ctx.opset, x, op.x.type.dtype)
