"""Converters of operators that pick elements by index tensors."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converters._indices import full_range_axis, not_negative
from fwd_ops_torch.converting import ConversionContext, converts


@converts(
    "aten::embedding",
    no_effect={
        "padding_idx": "matters for gradients only",
        "scale_grad_by_freq": "matters for gradients only",
        "sparse": "matters for gradients only",
    },
)
def embedding(ctx: ConversionContext, weight: Value, indices: Value) -> Value:
    """aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor."""
    return ctx.emit(ops.Gather(weight, indices, 0))


@converts("aten::index_select")
def index_select(ctx: ConversionContext, x: Value, dim: int, index: Value) -> Value:
    """aten::index_select(Tensor self, int dim, Tensor index) -> Tensor. index has 1 axis or none."""
    axis = ctx.axis(dim, x.type.rank)
    if index.type.rank > 1:
        raise ConversionError("index_select: index has at most 1 axis", got=index.type)
    flat = index if index.type.rank == 1 else ctx.emit(ops.Unsqueeze(index, (0,)))
    if x.type.rank == 0:
        return x
    return ctx.emit(ops.Gather(x, flat, axis))


@converts("aten::gather", no_effect={"sparse_grad": "matters for gradients only"})
def gather(ctx: ConversionContext, x: Value, dim: int, index: Value) -> Value:
    """aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor."""
    axis = ctx.axis(dim, x.type.rank)
    if x.type.rank == 0 or index.type.rank == 0:
        flat = x if x.type.rank else ctx.emit(ops.Unsqueeze(x, (0,)))
        picked = index if index.type.rank else ctx.emit(ops.Unsqueeze(index, (0,)))
        result = ctx.emit(ops.GatherElements(flat, picked, 0))
        return result if index.type.rank else ctx.emit(ops.Squeeze(result, (0,)))
    return ctx.emit(ops.GatherElements(x, index, axis))


@converts("aten::index")
def index(ctx: ConversionContext, x: Value, indices: Sequence[Value | None]) -> Value:
    """aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor.

    Integer tensors, several at once, broadcast, with gaps. A bool mask gives a result whose size
    depends on data, which graphs do not have.
    """
    used = {axis: value for axis, value in enumerate(indices) if value is not None}
    for value in used.values():
        if value.type.dtype in (DType.BOOL, DType.UINT8):
            raise ctx.unsupported(
                "indices",
                "a bool mask gives a result whose size depends on data",
                "use torch.where, or multiply by the mask",
            )
    if len(indices) > x.type.rank:
        raise ConversionError("index: more indices than axes", expected=x.type, got=len(indices))
    if not used:
        return x
    if len(used) == 1:
        ((axis, value),) = used.items()
        return ctx.emit(ops.Gather(x, value, axis))
    axes = list(used)
    shape = ctx.broadcast_shape(list(used.values()))
    plain = _as_movement(ctx, x, used, len(shape))
    gathered = plain if plain is not None else _gathered(ctx, x, used, shape)
    if axes != list(range(axes[0], axes[-1] + 1)):
        return gathered  # indices with a gap between them go to the front, as in NumPy
    lead = len(shape)
    order = [*range(lead, lead + axes[0]), *range(lead), *range(lead + axes[0], gathered.type.rank)]
    return ctx.emit(ops.Transpose(gathered, tuple(order)))


def _gathered(
    ctx: ConversionContext, x: Value, used: dict[int, Value], shape: tuple[object, ...]
) -> Value:
    """The elements, with the axes of the indices first and the other axes of x after them."""
    rank = x.type.rank
    rest = [axis for axis in range(rank) if axis not in used]
    front = ctx.emit(ops.Transpose(x, (*used, *rest)), "front")
    columns = []
    for axis, value in used.items():
        wide = ctx.cast(not_negative(ctx, value, x.type.shape[axis]), DType.INT64)
        full = ctx.emit(ops.Expand(wide, shape), "index")  # type: ignore[arg-type]
        columns.append(ctx.emit(ops.Unsqueeze(full, (full.type.rank,)), "column"))
    tuples = ctx.emit(ops.Concat(tuple(columns), len(shape)), "indices")
    return ctx.emit(ops.GatherND(front, tuples), "gathered")


def _as_movement(
    ctx: ConversionContext, x: Value, used: dict[int, Value], lead: int
) -> Value | None:
    """The same without indices, where each index runs over a whole axis along an axis of its own.

    ``mask[arange(batch)[:, None, None, None], arange(length)]`` is how masks are written that
    only need new axes.
    """
    places: dict[int, int] = {}
    for axis, value in used.items():
        own = full_range_axis(value, x.type.shape[axis])
        if own is None:
            return None
        place = own + lead - value.type.rank
        if place in places.values():
            return None
        places[axis] = place
    rest = [axis for axis in range(x.type.rank) if axis not in used]
    ordered = sorted(used, key=lambda axis: places[axis])
    front = ctx.emit(ops.Transpose(x, (*ordered, *rest)), "front")
    missing = tuple(i for i in range(lead) if i not in places.values())
    return ctx.emit(ops.Unsqueeze(front, missing), "axes")
