"""Facts about index tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Shape, Value, is_equal, is_less, ops
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


def is_mask(index: Value) -> bool:
    """Whether an index says for each element if it is taken."""
    return index.type.dtype in (DType.BOOL, DType.UINT8)


def used_indices(
    ctx: ConversionContext, x: Value, indices: Sequence[Value | None]
) -> dict[int, Value] | None:
    """Index tensors by the axis that they index, with constant masks as the places that they take.

    Returns:
        ``None`` where a mask is computed.

    Raises:
        ConversionError: There are more than axes, an index is no integer, or a mask does not fit.
    """
    used: dict[int, Value] = {}
    axis = 0
    for index in indices:
        if index is None:
            axis += 1
            continue
        if not is_mask(index):
            if not index.type.dtype.is_integer:
                raise ConversionError(f"{ctx.operator}: an index is no integer", got=index.type)
            used[axis] = _wide_index(ctx, index)
            axis += 1
            continue
        require_mask_fits(ctx, x, axis, index)
        if index.constant is None:
            return None
        for places in np.nonzero(index.constant.data):
            used[axis] = ctx.constant(places, DType.INT64, "places")
            axis += 1
    if axis > x.type.rank:
        raise ConversionError(
            f"{ctx.operator}: more indices than axes", expected=x.type, got=len(indices)
        )
    return used


def require_mask_fits(ctx: ConversionContext, x: Value, axis: int, mask: Value) -> None:
    """A mask has the sizes of the axes that it is for.

    Raises:
        ConversionError: It has not.
    """
    have, rank = mask.type.shape, mask.type.rank
    wanted = x.type.shape[axis : axis + rank]
    if rank == 0:
        raise ctx.unsupported("indices", "a bool mask without axes", "use torch.where")
    if len(wanted) != rank or not all(map(is_equal, have, wanted)):
        raise ConversionError(
            f"{ctx.operator}: a mask of other sizes than what it is for",
            expected=list(wanted),
            got=mask.type,
        )


def _wide_index(ctx: ConversionContext, index: Value) -> Value:
    narrow = index.type.dtype not in (DType.INT32, DType.INT64)
    return ctx.cast(index, DType.INT64) if narrow else index


def adjacent(used: Mapping[int, Value]) -> bool:
    """Whether indexed axes are side by side: then theirs stay in place, else they go in front."""
    return sorted(used) == list(range(min(used), max(used) + 1))


def indexed_first(x: Value, used: Mapping[int, Value]) -> tuple[int, ...]:
    """The order of axes with the indexed ones first."""
    return (*used, *(axis for axis in range(x.type.rank) if axis not in used))


def index_tuples(
    ctx: ConversionContext, x: Value, used: Mapping[int, Value], shape: Shape
) -> Value:
    """Indices, broadcast to a shape, side by side along a new last axis; none is negative."""
    columns = []
    for axis, value in used.items():
        wide = ctx.cast(not_negative(ctx, value, x.type.shape[axis]), DType.INT64)
        full = ctx.emit(ops.Expand(wide, shape), "index")
        columns.append(ctx.emit(ops.Unsqueeze(full, (full.type.rank,)), "column"))
    return ctx.emit(ops.Concat(tuple(columns), len(shape)), "indices")


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
