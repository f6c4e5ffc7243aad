"""Converters of assignments to indexed elements: ``x[indices] = values``."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Shape, Value, is_equal, ops
from fwd_ops_torch.converters._indices import (
    adjacent,
    index_tuples,
    indexed_first,
    is_mask,
    not_negative,
    used_indices,
)
from fwd_ops_torch.converting import ConversionContext, converts


@converts(
    "aten::index_put",
    "aten::index_put_",
    "aten::_unsafe_index_put",
    "aten::_index_put_impl",
    "aten::_index_put_impl_",
    no_effect={"unsafe": "says only that indices need no check"},
)
def index_put(
    ctx: ConversionContext,
    x: Value,
    indices: Sequence[Value | None],
    values: Value,
    accumulate: bool = False,
) -> Value:
    """aten::index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor.

    Integer tensors, several at once, broadcast, with gaps, and constant bool masks. A bool mask
    that is computed takes values that are the same for all its elements.
    """
    used = used_indices(ctx, x, indices)
    if used is None:
        return _masked(ctx, x, indices, values, accumulate)
    if values.type.dtype is not x.type.dtype:
        masks = [one for one in indices if one is not None]
        if accumulate or len(masks) != 1 or not is_mask(masks[0]) or values.type.numel != 1:
            raise ConversionError(
                f"{ctx.operator}: values are not of the tensor's dtype",
                expected=x.type.dtype,
                got=values.type,
            )
        values = ctx.cast(values, x.type.dtype)  # as masked_fill does
    if not used:
        wide = ctx.emit(ops.Expand(values, x.type.shape), "values")
        return ctx.emit(ops.Add(x, wide)) if accumulate else wide
    if x.type.dtype is DType.BOOL and accumulate:
        one, other = (ctx.cast(value, DType.INT32) for value in (x, values))
        return ctx.cast(_put(ctx, one, used, other, accumulate), DType.BOOL)
    return _put(ctx, x, used, values, accumulate)


@converts("aten::masked_scatter", "aten::masked_scatter_")
def masked_scatter(ctx: ConversionContext, x: Value, mask: Value, source: Value) -> Value:
    """aten::masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor.

    Any dtype; self and mask broadcast. The elements of source go in order to where the mask is
    true. Fewer of them than places are an error in torch, and undefined here.
    """
    if mask.type.dtype is not DType.BOOL:
        raise ConversionError(f"{ctx.operator}: a bool mask", got=mask.type)
    if x.type.dtype is not source.type.dtype:
        raise ConversionError(
            f"{ctx.operator}: source is not of the tensor's dtype",
            expected=x.type.dtype,
            got=source.type,
        )
    shape = ctx.broadcast_shape([x, mask])
    if ctx.operator.endswith("_") and shape != x.type.shape:
        raise ConversionError(
            f"{ctx.operator}: the mask has more elements", expected=x.type, got=mask.type
        )
    base, where = (ctx.emit(ops.Expand(one, shape), "wide") for one in (x, mask))
    count = base.type.numel
    if source.type.numel == 0 or count == 0:
        return base  # torch takes no source only for a mask of which nothing is true
    row = ctx.cast(ctx.emit(ops.Reshape(where, (count,)), "row"), DType.INT64)
    counted = ctx.emit(ops.CumSum(row, 0), "counted")
    one, zero = (ctx.number(number, DType.INT64) for number in (1, 0))
    # Before the first place the count is 0, whose element nothing takes.
    turns = ctx.emit(ops.Maximum(ctx.emit(ops.Sub(counted, one)), zero), "turns")
    given = ctx.emit(ops.Reshape(source, (source.type.numel,)), "given")
    values = ctx.emit(ops.Reshape(ctx.emit(ops.Gather(given, turns, 0)), shape), "values")
    return ctx.emit(ops.Where(where, values, base))


def _put(
    ctx: ConversionContext, x: Value, used: dict[int, Value], values: Value, accumulate: bool
) -> Value:
    shape = ctx.broadcast_shape(list(used.values()))
    lead, rank = len(shape), x.type.rank
    rest = [axis for axis in range(rank) if axis not in used]
    # Where the axes of the indices are in the values: in place of the indexed ones, or in front.
    place = min(used) if adjacent(used) else 0
    others = [x.type.shape[axis] for axis in rest]
    wide = _expanded(ctx, values, (*others[:place], *shape, *others[place:]))
    combination: ops.scattering.Combination = "sum" if accumulate else "none"
    if len(used) == 1 and lead == 1 and place > 0:
        # Along one axis, which is not the first, nothing needs to move.
        ((axis, index),) = used.items()
        index = not_negative(ctx, index, x.type.shape[axis])
        column = ctx.emit(ops.Unsqueeze(index, tuple(range(1, rank - axis))), "column")
        places = ctx.emit(ops.Expand(column, wide.type.shape), "places")
        return ctx.emit(ops.ScatterElements(x, places, wide, axis, combination))
    order = (
        *range(place, place + lead),
        *range(place),
        *range(place + lead, wide.type.rank),
    )
    updates = ctx.emit(ops.Transpose(wide, order), "updates")
    moved = indexed_first(x, used)
    front = ctx.emit(ops.Transpose(x, moved), "front")
    tuples = index_tuples(ctx, x, used, shape)
    done = ctx.emit(ops.ScatterND(front, tuples, updates, combination), "done")
    return ctx.emit(ops.Transpose(done, tuple(map(moved.index, range(rank)))))


def _masked(
    ctx: ConversionContext,
    x: Value,
    indices: Sequence[Value | None],
    values: Value,
    accumulate: bool,
) -> Value:
    """Where the mask is true the values, which must not depend on how many elements it takes."""
    given = [(axis, one) for axis, one in enumerate(indices) if one is not None]
    axis, mask = given[0]
    rank, after = mask.type.rank, x.type.rank - axis - mask.type.rank
    taken = values.type.shape[max(values.type.rank - after - 1, 0)] if values.type.rank else 1
    if len(given) > 1 or (values.type.rank > after and taken != 1):
        raise ctx.unsupported(
            "indices",
            "where a mask is computed, how many values it takes depends on data",
            "use torch.where(mask, values, x) with values for every element",
        )
    if values.type.dtype is not x.type.dtype and (accumulate or values.type.numel != 1):
        raise ConversionError(
            f"{ctx.operator}: values are not of the tensor's dtype",
            expected=x.type.dtype,
            got=values.type,
        )
    values = ctx.cast(values, x.type.dtype)
    if values.type.rank > after:  # the one axis of taken elements stands for those of the mask
        if values.type.rank - after - 1 > axis:
            raise ConversionError(
                f"{ctx.operator}: more axes in values", expected=x.type, got=values.type
            )
        at = values.type.rank - after
        values = ctx.emit(ops.Unsqueeze(values, tuple(range(at, at + rank - 1))), "values")
    wide = _expanded(ctx, values, x.type.shape)
    where = mask if mask.type.dtype is DType.BOOL else ctx.cast(mask, DType.BOOL)
    where = ctx.emit(ops.Unsqueeze(where, tuple(range(rank, rank + after))), "where")
    if accumulate:
        added = ops.Or(x, wide) if x.type.dtype is DType.BOOL else ops.Add(x, wide)
        wide = ctx.emit(added, "added")
    return ctx.emit(ops.Where(where, wide, x))


def _expanded(ctx: ConversionContext, values: Value, shape: Shape) -> Value:
    """Values broadcast to a shape; axes of size 1 in front may be too many, as in torch."""
    while values.type.rank > len(shape) and values.type.shape[0] == 1:
        values = ctx.emit(ops.Squeeze(values, (0,)), "values")
    if not _fits(values.type.shape, shape):
        raise ConversionError(
            f"{ctx.operator}: values do not broadcast to what they replace",
            expected=list(shape),
            got=values.type,
        )
    return ctx.emit(ops.Expand(values, shape), "wide")


def _fits(have: Shape, want: Sequence[Dim]) -> bool:
    tail = want[len(want) - len(have) :]
    return len(have) <= len(want) and all(
        one == 1 or is_equal(one, other) is True for one, other in zip(have, tail, strict=True)
    )
