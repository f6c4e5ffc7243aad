"""Converters of operators that change the order of axes or of elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, ops
from fwd_core.ir.dims import modulo, product
from fwd_ops_torch.converting import ConversionContext, converts


@converts(
    "aten::transpose",
    "aten::transpose_",
    "aten::transpose_copy",
    "aten::swapdims",
    "aten::swapdims_",
    "aten::swapaxes",
    "aten::swapaxes_",
)
def transpose(
    ctx: ConversionContext,
    x: Value,
    dim0: int | None = None,
    dim1: int | None = None,
    axis0: int | None = None,
    axis1: int | None = None,
) -> Value:
    """aten::transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)."""
    first, second = (dim0, dim1) if dim0 is not None else (axis0, axis1)
    assert first is not None
    assert second is not None
    a, b = ctx.axis(first, x.type.rank), ctx.axis(second, x.type.rank)
    order = list(range(x.type.rank))
    if x.type.rank:
        order[a], order[b] = order[b], order[a]
    return ctx.emit(ops.Transpose(x, tuple(order)))


@converts("aten::t", "aten::t_", "aten::t_copy")
def t(ctx: ConversionContext, x: Value) -> Value:
    """aten::t(Tensor(a) self) -> Tensor(a). At most 2 axes."""
    if x.type.rank > 2:
        raise ConversionError(f"{ctx.operator}: at most 2 axes", got=x.type)
    return ctx.emit(ops.Transpose(x, tuple(reversed(range(x.type.rank)))))


@converts("aten::numpy_T")
def numpy_t(ctx: ConversionContext, x: Value) -> Value:
    """aten::numpy_T(Tensor(a) self) -> Tensor(a). All axes backwards."""
    return ctx.emit(ops.Transpose(x, tuple(reversed(range(x.type.rank)))))


@converts("aten::matrix_H")
def matrix_h(ctx: ConversionContext, x: Value) -> Value:
    """aten::matrix_H(Tensor(a) self) -> Tensor(a). 2 axes or none; elements are real."""
    if x.type.rank not in (0, 2):
        raise ConversionError(f"{ctx.operator}: 2 axes or none", got=x.type)
    return numpy_t(ctx, x)


@converts("aten::mT", "aten::mH", "aten::adjoint")
def matrix_transpose(ctx: ConversionContext, x: Value) -> Value:
    """aten::mT(Tensor(a) self) -> Tensor(a). The last two axes; elements are real."""
    rank = x.type.rank
    if rank == 1:
        raise ConversionError(f"{ctx.operator}: 2 axes or more", got=x.type)
    return ctx.emit(ops.Transpose(x, (*range(rank - 2), rank - 1, rank - 2))) if rank else x


@converts("aten::permute", "aten::permute_copy")
def permute(ctx: ConversionContext, x: Value, dims: Sequence[int]) -> Value:
    """aten::permute(Tensor(a) self, int[] dims) -> Tensor(a)."""
    return ctx.emit(ops.Transpose(x, tuple(ctx.axis(dim, x.type.rank) for dim in dims)))


@converts("aten::movedim", "aten::moveaxis")
def movedim(
    ctx: ConversionContext, x: Value, source: int | Sequence[int], destination: int | Sequence[int]
) -> Value:
    """aten::movedim.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)."""
    return ctx.emit(ops.Transpose(x, moved_order(ctx, x.type.rank, source, destination)))


def moved_order(
    ctx: ConversionContext, rank: int, source: int | Sequence[int], destination: int | Sequence[int]
) -> tuple[int, ...]:
    """The order of axes that ``movedim`` gives a tensor of a rank.

    Raises:
        ConversionError: An axis does not exist or repeats, or the lists differ in length.
    """
    taken = [source] if isinstance(source, int) else list(source)
    places = [destination] if isinstance(destination, int) else list(destination)
    if len(taken) != len(places):
        raise ConversionError(
            f"{ctx.operator}: as many destinations as sources", got=f"{taken}, {places}"
        )
    for axes in (taken, places):
        distinct_axes(ctx, axes, rank)
    if rank == 0:
        return ()
    goes = {place % rank: axis % rank for axis, place in zip(taken, places, strict=True)}
    rest = iter(axis for axis in range(rank) if axis not in goes.values())
    return tuple(goes[place] if place in goes else next(rest) for place in range(rank))


def distinct_axes(ctx: ConversionContext, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in the order given; none stays none.

    Raises:
        ConversionError: An axis does not exist or is repeated.
    """
    listed = [ctx.axis(axis, rank) for axis in axes]
    if len(set(listed)) != len(listed):
        raise ConversionError(f"{ctx.operator}: a dimension is repeated", got=list(axes))
    return tuple(listed)


@converts("aten::flip")
def flip(ctx: ConversionContext, x: Value, dims: Sequence[int]) -> Value:
    """aten::flip(Tensor self, int[] dims) -> Tensor. An empty list flips nothing."""
    for axis in distinct_axes(ctx, dims, x.type.rank):
        x = _flipped(ctx, x, axis) if x.type.rank else x
    return x


@converts("aten::fliplr")
def fliplr(ctx: ConversionContext, x: Value) -> Value:
    """aten::fliplr(Tensor self) -> Tensor. 2 axes or more; the second is flipped."""
    if x.type.rank < 2:
        raise ConversionError(f"{ctx.operator}: 2 axes or more", got=x.type)
    return _flipped(ctx, x, 1)


@converts("aten::flipud")
def flipud(ctx: ConversionContext, x: Value) -> Value:
    """aten::flipud(Tensor self) -> Tensor. 1 axis or more; the first is flipped."""
    if x.type.rank < 1:
        raise ConversionError(f"{ctx.operator}: 1 axis or more", got=x.type)
    return _flipped(ctx, x, 0)


@converts("aten::rot90")
def rot90(ctx: ConversionContext, x: Value, k: int = 1, dims: Sequence[int] = (0, 1)) -> Value:
    """aten::rot90(Tensor self, int k=1, int[] dims=[0,1]) -> Tensor. From the first axis to the second."""
    if len(dims) != 2 or x.type.rank < 2:
        raise ConversionError(f"{ctx.operator}: 2 of 2 axes or more", expected=x.type, got=dims)
    a, b = distinct_axes(ctx, dims, x.type.rank)
    quarter = k % 4
    for axis in {0: (), 1: (b,), 2: (a, b), 3: (a,)}[quarter]:
        x = _flipped(ctx, x, axis)
    return transpose(ctx, x, a, b) if quarter % 2 else x


@converts("aten::roll")
def roll(
    ctx: ConversionContext, x: Value, shifts: Sequence[Dim], dims: Sequence[int] = ()
) -> Value:
    """aten::roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor. Without dims, all elements in a row."""
    shape = x.type.shape
    if not dims and len(shifts) == 1:
        flat = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")
        return ctx.emit(ops.Reshape(_rolled(ctx, flat, 0, shifts[0]), shape))
    if len(dims) != len(shifts):
        raise ConversionError(
            f"{ctx.operator}: as many shifts as dims", got=f"{list(shifts)}, {list(dims)}"
        )
    if not shape:
        raise ConversionError(f"{ctx.operator}: a 0-d tensor has no axis to roll", got=list(dims))
    for shift, dim in zip(shifts, dims, strict=True):
        x = _rolled(ctx, x, ctx.axis(dim, x.type.rank), shift)
    return x


@converts("aten::unfold", "aten::unfold_copy")
def unfold(ctx: ConversionContext, x: Value, dimension: int, size: int, step: int) -> Value:
    """aten::unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a). Windows of an axis."""
    flat = x if x.type.rank else ctx.emit(ops.Unsqueeze(x, (0,)), "flat")
    axis = ctx.axis(dimension, x.type.rank)
    total = flat.type.shape[axis]
    if size < 0 or step < 1 or (isinstance(total, int) and total < size):
        raise ConversionError(
            f"{ctx.operator}: a window of 0 … {total} elements, and a step of 1 or more",
            got=f"size {size}, step {step}",
        )
    if x.type.rank == 0:
        return ctx.emit(ops.Slice(flat, 0, 0, size))
    ctx.require_enough("size", size, total)
    count = (total - size) // step + 1
    starts = ctx.emit(ops.Arange(count, 0, step), "starts")
    within = ctx.constant(np.arange(size), DType.INT64, "within")
    places = ctx.emit(ops.Add(ctx.emit(ops.Unsqueeze(starts, (1,))), within), "places")
    windows = ctx.emit(ops.Gather(x, places, axis), "windows")
    rank = windows.type.rank
    order = (*range(axis + 1), *range(axis + 2, rank), axis + 1)
    return ctx.emit(ops.Transpose(windows, order))


def _flipped(ctx: ConversionContext, x: Value, axis: int) -> Value:
    size = x.type.shape[axis]
    return ctx.emit(ops.Slice(x, axis, size - 1, size, -1), "flipped")


def _rolled(ctx: ConversionContext, x: Value, axis: int, shift: Dim) -> Value:
    size = x.type.shape[axis]
    if size in (0, 1) or product(x.type.shape) == 0:
        return x
    start = modulo(-shift, size)
    if start == 0:
        return x
    tail = ctx.emit(ops.Slice(x, axis, start, size - start), "tail")
    lead = ctx.emit(ops.Slice(x, axis, 0, start), "lead")
    return ctx.emit(ops.Concat((tail, lead), axis))
