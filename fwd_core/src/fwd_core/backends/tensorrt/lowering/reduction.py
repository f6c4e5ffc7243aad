"""Operators that reduce axes to one element each."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.numbers import is_number, keeping_nan, number, wrapped
from fwd_core.ir import ops
from fwd_core.ir.operator import Operator
from fwd_core.plugins.markers import lowering

_LAYERS: dict[type[Operator], str] = {
    ops.ReduceSum: "SUM",
    ops.ReduceMean: "AVG",
    ops.ReduceProd: "PROD",
    ops.ReduceMax: "MAX",
    ops.ReduceMin: "MIN",
}
#: Over bools, as integers 0 and 1.
_BOOL_LAYERS: dict[type[Operator], str] = {ops.ReduceAny: "MAX", ops.ReduceAll: "MIN"}


@lowering("tensorrt", ops.ReduceSum, ops.ReduceMean, ops.ReduceProd)
def accumulate(ctx: TensorRTLowering, op: ops.reduction.Reduction) -> ITensor:
    """Reductions that accumulate: in float32, whatever the type, as torch's kernels do."""
    if not op.axes:
        return ctx[op.x]
    operation, dtype = _LAYERS[type(op)], op.x.type.dtype
    if not dtype.is_float:
        return wrapped(ctx, reduced(ctx, ctx[op.x], operation, op.axes, op.keepdims), op.infer())
    return ctx.in_float32(
        ctx[op.x], dtype, lambda x: reduced(ctx, x, operation, op.axes, op.keepdims)
    )


@lowering("tensorrt", ops.ReduceMax, ops.ReduceMin)
def extremum(ctx: TensorRTLowering, op: ops.reduction.Reduction) -> ITensor:
    """Reductions that pick an element, or a NaN if there is one, which layers pass over."""
    x = ctx[op.x]
    if not op.axes:
        return x
    picked = reduced(ctx, x, _LAYERS[type(op)], op.axes, op.keepdims)
    if not op.x.type.dtype.is_float:
        return picked
    others = ctx("select", is_number(ctx, x), number(ctx, 0, op.x.type), x)
    return keeping_nan(ctx, picked, reduced(ctx, others, "SUM", op.axes, op.keepdims))


@lowering("tensorrt", ops.ReduceAny, ops.ReduceAll)
def logical(ctx: TensorRTLowering, op: ops.reduction.BoolReduction) -> ITensor:
    """Reductions of bools, through int32: TensorRT reduces numbers only."""
    return reduced_bool(ctx, ctx[op.x], _BOOL_LAYERS[type(op)], op.axes, op.keepdims)


def reduced(
    ctx: TensorRTLowering, x: ITensor, operation: str, axes: Sequence[int], keepdims: bool
) -> ITensor:
    """Axes reduced by the name of a ``ReduceOperation``; there must be one at least."""
    mask = sum(1 << axis for axis in axes)
    return ctx("reduce", x, getattr(ctx.trt.ReduceOperation, operation), mask, keepdims)


def reduced_bool(
    ctx: TensorRTLowering, x: ITensor, operation: str, axes: Sequence[int], keepdims: bool
) -> ITensor:
    """Axes of a bool tensor reduced: ``MAX`` for any, ``MIN`` for all."""
    if not axes:
        return x
    return ctx.cast(reduced(ctx, ctx.cast(x, "INT32"), operation, axes, keepdims), "BOOL")
