"""Converters of operators that pick elements by index tensors."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Shape, Value, is_equal, ops
from fwd_ops_torch.converters._indices import (
    adjacent,
    full_range_axis,
    index_tuples,
    indexed_first,
    require_within,
    used_indices,
)
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::index_select")
def index_select(ctx: ConversionContext, x: Value, dim: int, index: Value) -> Value:
    """aten::index_select(Tensor self, int dim, Tensor index) -> Tensor. index has 1 axis or none."""
    axis = ctx.axis(dim, x.type.rank)
    if index.type.rank > 1:
        raise ConversionError("index_select: index has at most 1 axis", got=index.type)
    flat = index if index.type.rank == 1 else ctx.emit(ops.Unsqueeze(index, (0,)))
    if x.type.rank == 0:
        return x
    require_within(ctx, "index", index, x.type.shape[axis], from_end=False)
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
    _require_elements(ctx, x, index, axis)
    return ctx.emit(ops.GatherElements(x, index, axis))


@converts("aten::take")
def take(ctx: ConversionContext, x: Value, index: Value) -> Value:
    """aten::take(Tensor self, Tensor index) -> Tensor. Of all elements in a row."""
    if index.type.dtype is not DType.INT64:
        raise ConversionError(
            f"{ctx.operator}: index is not of int64",
            expected="int64",
            got=index.type,
            hint="convert it with index.long()",
        )
    flat = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")
    require_within(ctx, "index", index, x.type.numel)
    return ctx.emit(ops.Gather(flat, index, 0))


@converts("aten::take_along_dim")
def take_along_dim(
    ctx: ConversionContext, x: Value, indices: Value, dim: int | None = None
) -> Value:
    """aten::take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor. Other axes broadcast."""
    if indices.type.dtype is not DType.INT64:
        raise ConversionError(f"{ctx.operator}: indices are int64", got=indices.type)
    if dim is None:
        flat = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")
        picked = ctx.emit(ops.Reshape(indices, (indices.type.numel,)), "indices")
        require_within(ctx, "indices", indices, x.type.numel, from_end=False)
        return ctx.emit(ops.GatherElements(flat, picked, 0))
    if x.type.rank != indices.type.rank:
        raise ConversionError(
            f"{ctx.operator}: as many axes in indices", expected=x.type, got=indices.type
        )
    axis = ctx.axis(dim, x.type.rank)
    if x.type.rank == 0:
        return gather(ctx, x, 0, indices)
    require_within(ctx, "indices", indices, x.type.shape[axis], from_end=False)
    return ctx.emit(ops.GatherElements(*_broadcast_around(ctx, x, indices, axis), axis))


def _require_elements(ctx: ConversionContext, x: Value, index: Value, axis: int) -> None:
    """A constant index is within its axis, and no more indices than elements on the others."""
    pairs = list(zip(index.type.shape, x.type.shape, strict=False))
    others = [pair for place, pair in enumerate(pairs) if place != axis]
    size = x.type.shape[axis]
    require_within(ctx, "index", index, size, from_end=False, each=others)


def _broadcast_around(
    ctx: ConversionContext, x: Value, indices: Value, axis: int
) -> tuple[Value, Value]:
    """Both expanded to one shape, but for one axis."""
    pairs = list(zip(x.type.shape, indices.type.shape, strict=True))
    for place, (have, want) in enumerate(pairs):
        if place != axis and 1 not in (have, want) and is_equal(have, want) is not True:
            raise ConversionError(
                f"{ctx.operator}: shapes do not broadcast", expected=x.type, got=indices.type
            )
    shape = [want if have == 1 else have for have, want in pairs]
    wide = [
        ctx.emit(ops.Expand(one, (*shape[:axis], one.type.shape[axis], *shape[axis + 1 :])))
        for one in (x, indices)
    ]
    return wide[0], wide[1]


@converts("aten::index", "aten::_unsafe_index")
def index(ctx: ConversionContext, x: Value, indices: Sequence[Value | None]) -> Value:
    """aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor.

    Integer tensors, several at once, broadcast, with gaps, and constant bool masks. A bool mask
    that is computed gives a result whose size depends on data, which graphs do not have.
    """
    used = used_indices(ctx, x, indices)
    if used is None:
        raise ctx.unsupported(
            "indices",
            "a bool mask gives a result whose size depends on data",
            "use torch.where, or multiply by the mask",
        )
    if not used:
        return x
    if len(used) == 1:
        ((axis, value),) = used.items()
        return ctx.emit(ops.Gather(x, value, axis))
    shape = ctx.broadcast_shape(list(used.values()))
    plain = _as_movement(ctx, x, used, len(shape))
    gathered = plain if plain is not None else _gathered(ctx, x, used, shape)
    if not adjacent(used):
        return gathered
    lead, first = len(shape), min(used)
    order = [*range(lead, lead + first), *range(lead), *range(lead + first, gathered.type.rank)]
    return ctx.emit(ops.Transpose(gathered, tuple(order)))


def _gathered(ctx: ConversionContext, x: Value, used: dict[int, Value], shape: Shape) -> Value:
    """The elements, with the axes of the indices first and the other axes of x after them."""
    front = ctx.emit(ops.Transpose(x, indexed_first(x, used)), "front")
    return ctx.emit(ops.GatherND(front, index_tuples(ctx, x, used, shape)), "gathered")


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
