"""Converters of look-ups in tables of vectors."""

from __future__ import annotations

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_core.ir.dims import divide_exactly
from fwd_ops_torch.converters.scattering import combined
from fwd_ops_torch.converting import ConversionContext, converts

_GRADIENTS = {
    "scale_grad_by_freq": "matters for gradients only",
    "sparse": "matters for gradients only",
}
_MODES = ("sum", "mean", "max")


@converts("aten::embedding", no_effect={"padding_idx": "matters for gradients only", **_GRADIENTS})
def embedding(ctx: ConversionContext, weight: Value, indices: Value) -> Value:
    """aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor."""
    if weight.type.rank != 2:
        raise ConversionError(
            f"{ctx.operator}: weight is not a matrix", expected="2 axes", got=weight.type
        )
    return ctx.emit(ops.Gather(weight, indices, 0))


@converts(
    "aten::embedding_bag",
    "aten::_embedding_bag",
    "aten::_embedding_bag_forward_only",
    no_effect=_GRADIENTS,
)
def embedding_bag(
    ctx: ConversionContext,
    weight: Value,
    indices: Value,
    offsets: Value,
    mode: int = 0,
    per_sample_weights: Value | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Value, ...]:
    """aten::embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False) -> (Tensor, Tensor, Tensor, Tensor).

    Modes sum, mean and max; offsets may be computed. Of the results only the first is torch's:
    the others serve gradients, and the bag of each index stands for them.
    """
    if indices.type.rank != 1 or offsets.type.rank != 1 or weight.type.rank != 2:
        raise ConversionError(
            f"{ctx.operator}: a matrix, and indices and offsets of 1 axis",
            got=f"{weight.type}, {indices.type}, {offsets.type}",
        )
    if per_sample_weights is not None and _MODES[mode] != "sum":
        raise ConversionError(f"{ctx.operator}: weights of samples are for mode sum", got=mode)
    rows = ctx.emit(ops.Gather(weight, indices, 0), "rows")
    if per_sample_weights is not None:
        column = ctx.emit(ops.Unsqueeze(per_sample_weights, (1,)), "weights")
        rows = ctx.emit(ops.Mul(rows, ctx.cast(column, rows.type.dtype)), "weighted")
    skipped = _skipped(ctx, weight, indices, padding_idx)
    count = offsets.type.shape[0]
    bags = count - 1 if include_last_offset else count
    length = _equal_length(offsets, indices.type.shape[0], bags)
    if length is not None and skipped is None:
        bag = ctx.emit(ops.Arange(bags), "bags")
        wide = ctx.emit(ops.Expand(ctx.emit(ops.Unsqueeze(bag, (1,))), (bags, length)), "wide")
        bag = ctx.emit(ops.Reshape(wide, (indices.type.shape[0],)), "bag")
        return _of_equal_bags(ctx, rows, bags, length, _MODES[mode]), bag, bag, bag
    bag = _bag_of_each(ctx, offsets, indices, bags)
    if skipped is not None:  # it goes to one bag more, which is left out
        bag = ctx.emit(ops.Where(skipped, ctx.number(bags, DType.INT64), bag), "bag")
    empty = ctx.emit(
        ops.Expand(ctx.number(0, rows.type.dtype, "zero"), (bags + 1, rows.type.shape[1])), "empty"
    )
    index = ctx.emit(ops.Expand(ctx.emit(ops.Unsqueeze(bag, (1,))), rows.type.shape), "index")
    reduce = {"sum": "sum", "mean": "mean", "max": "amax"}[_MODES[mode]]
    filled = combined(ctx, empty, index, rows, 0, reduce, include_self=False)
    return ctx.emit(ops.Slice(filled, 0, 0, bags)), bag, bag, bag


def _skipped(
    ctx: ConversionContext, weight: Value, indices: Value, padding_idx: int | None
) -> Value | None:
    """Which indices count for nothing."""
    rows = weight.type.shape[0]
    own = ctx.operator == "aten::embedding_bag"  # the others know no negative ones
    if padding_idx is None or (padding_idx < 0 and not own):
        return None
    needed = -padding_idx if padding_idx < 0 else padding_idx + 1
    if own and is_less(rows, needed):
        raise ConversionError(
            f"{ctx.operator}: padding_idx is out of range",
            expected=f"{-rows} … {rows - 1}",
            got=padding_idx,
        )
    if own:
        ctx.require_enough("padding_idx", needed, rows)
    place: Dim = padding_idx + rows if padding_idx < 0 else padding_idx
    return ctx.emit(ops.Equal(indices, ctx.number(place, indices.type.dtype, "padding")), "skipped")


def _equal_length(offsets: Value, total: Dim, bags: Dim) -> Dim | None:
    """The length of the bags where all certainly have one, and it is not zero."""
    length = divide_exactly(total, bags) if bags != 0 else None
    if length is None or length == 0:
        return None
    if offsets.constant is not None:
        starts = offsets.constant.data
        regular = isinstance(length, int) and np.array_equal(
            starts, np.arange(starts.size) * length
        )
        return length if regular else None
    op = offsets.producer.op if offsets.producer is not None else None
    if isinstance(op, ops.Arange) and op.start == 0 and not isinstance(op.step, float):
        return length if is_equal(op.step, length) else None
    return None


def _of_equal_bags(ctx: ConversionContext, rows: Value, bags: Dim, length: Dim, mode: str) -> Value:
    apart = ctx.emit(ops.Reshape(rows, (bags, length, rows.type.shape[1])), "apart")
    reduce = {"sum": ops.ReduceSum, "mean": ops.ReduceMean, "max": ops.ReduceMax}[mode]
    return ctx.emit(reduce(apart, (1,)))


def _bag_of_each(ctx: ConversionContext, offsets: Value, indices: Value, bags: Dim) -> Value:
    """The last bag that starts at or before each index."""
    starts = ctx.cast(ctx.emit(ops.Slice(offsets, 0, 0, bags), "starts"), DType.INT64)
    places = ctx.emit(ops.Arange(indices.type.shape[0]), "places")
    column = ctx.emit(ops.Unsqueeze(places, (1,)), "column")
    begun = ctx.cast(ctx.emit(ops.LessEqual(starts, column), "begun"), DType.INT64)
    count = ctx.emit(ops.ReduceSum(begun, (1,)), "count")
    return ctx.emit(ops.Sub(count, ctx.number(1, DType.INT64, "one")), "bag")
