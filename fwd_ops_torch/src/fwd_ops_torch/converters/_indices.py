"""Facts about index tensors."""

from __future__ import annotations

import numpy as np

from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_ops_torch.converting import ConversionContext

_MOVES = (ops.Unsqueeze, ops.Squeeze, ops.Reshape, ops.Expand)


def not_negative(ctx: ConversionContext, index: Value, size: Dim) -> Value:
    """The index with negative entries counted from the end."""
    constant = index.constant
    if constant is not None:
        data = constant.numpy()
        if bool(np.all(np.greater_equal(data, 0))):
            return index
        if isinstance(size, int):
            return ctx.constant(
                np.where(np.less(data, 0), np.add(data, size), data), index.type.dtype, "index"
            )
    if _counts_up(index):
        return index
    zero = ctx.number(0, index.type.dtype, "zero")
    wrapped = ctx.emit(ops.Add(index, ctx.number(size, index.type.dtype, "size")), "wrapped")
    return ctx.emit(ops.Where(ctx.emit(ops.Less(index, zero), "negative"), wrapped, index), "index")


def full_range_axis(index: Value, size: Dim) -> int | None:
    """The axis along which an index runs 0, 1, … size - 1, if it has size 1 along all others."""
    shape = index.type.shape
    long = [axis for axis, dim in enumerate(shape) if dim != 1]
    if len(long) > 1 or is_equal(index.type.numel, size) is not True or not shape:
        return None
    axis = long[0] if long else len(shape) - 1
    constant = index.constant
    if constant is not None:
        counted = np.arange(constant.data.size)
        return axis if np.array_equal(constant.numpy().reshape(-1), counted) else None
    op = _source(index)
    if isinstance(op, ops.Arange) and op.start == 0 and op.step == 1:
        return axis if is_equal(op.length, size) else None
    return None


def _counts_up(index: Value) -> bool:
    op = _source(index)
    if not isinstance(op, ops.Arange) or isinstance(op.start, float) or isinstance(op.step, float):
        return False
    return is_less(op.start, 0) is False and is_less(op.step, 0) is False


def _source(value: Value) -> object:
    while value.producer is not None:
        op = value.producer.op
        if (isinstance(op, ops.Cast) and op.dtype in (DType.INT32, DType.INT64)) or isinstance(
            op, _MOVES
        ):
            value = op.x
        else:
            return op
    return None
