"""Facts about index tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        if data.size == 1:  # OpenVINO would drop its axis from what follows of a single number
            place = ctx.number(size + int(data.item()), index.type.dtype, "place")
            return ctx.emit(ops.Reshape(place, index.type.shape), "index")
    if _counts_up(index):
        return index
    zero = ctx.number(0, index.type.dtype, "zero")
    wrapped = ctx.emit(ops.Add(index, ctx.number(size, index.type.dtype, "size")), "wrapped")
    return ctx.emit(ops.Where(ctx.emit(ops.Less(index, zero), "negative"), wrapped, index), "index")


def require_within(
    ctx: ConversionContext,
    argument: str,
    index: Value,
    size: Dim,
    *,
    from_end: bool = True,
    each: Sequence[tuple[Dim, Dim]] = (),
) -> None:
    """Require the numbers of a constant index to be places of an axis, however long it is.

    Args:
        ctx: Names the operator.
        argument: The argument that the index is.
        index: Any index; nothing is known of a computed one.
        size: The size of the axis.
        from_end: Whether negative numbers count from the end.
        each: Sizes of the index, and sizes of other axes that they may not exceed.

    Raises:
        ConversionError: There is no such place.
        UnsupportedArgumentError: There may be none, for a value of a dynamic size.
    """
    for needed, have in each:
        ctx.require_enough(argument, needed, have)
    data = _literal(index)
    if data is None or not data.size:
        return
    low, high = int(data.min()), int(data.max())
    needed = max(high + 1, -low)
    if (low < 0 and not from_end) or is_less(size, needed) is True:
        raise ConversionError(
            f"{ctx.operator}: index out of range",
            expected=f"{-size if from_end else 0} … {size - 1}",
            got=low if low == high else f"{low} … {high}",
        )
    ctx.require_enough(argument, needed, size)


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
        ConversionError: There are more than axes, an index is no integer or out of range, or a
            mask does not fit.
        UnsupportedArgumentError: A constant index may be out of range.
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
            if axis < x.type.rank:
                require_within(ctx, "indices", index, x.type.shape[axis])
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


def _literal(index: Value) -> NDArray[Any] | None:
    """The numbers of a constant index, also one that was moved or repeated."""
    constant = _unmoved(index).constant
    return None if constant is None else constant.numpy()


def _source(value: Value) -> object:
    made = _unmoved(value).producer
    return None if made is None else made.op


def _is_whole(op: ops.Slice) -> bool:
    size = op.x.type.shape[op.axis]
    return op.start == 0 and op.step == 1 and is_equal(op.length, size) is True


def _unmoved(value: Value) -> Value:
    while value.producer is not None:
        op = value.producer.op
        if isinstance(op, ops.Slice) and _is_whole(op):
            value = op.x
            continue
        if not (isinstance(op, ops.Cast) and op.dtype in (DType.INT32, DType.INT64)):
            if not isinstance(op, _MOVES):
                break
        value = op.x
    return value
