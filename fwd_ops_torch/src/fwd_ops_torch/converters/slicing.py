"""Converters of operators that take a part of an axis, or put one there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_ops_torch.converters._indices import not_negative
from fwd_ops_torch.converting import ConversionContext, converts, spans

_CLAMPED = "slice with x[start:end], which takes what there is"


@converts("aten::slice", "aten::slice_copy")
def slice_(
    ctx: ConversionContext,
    x: Value,
    dim: int = 0,
    start: Dim | None = None,
    end: Dim | None = None,
    step: Dim = 1,
) -> Value:
    """aten::slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor(a)."""
    span = spans.sliced(ctx, x, dim, start, end, step)
    return ctx.emit(ops.Slice(x, span.axis, span.start, span.length, span.step))


@converts("aten::narrow", "aten::narrow_copy")
def narrow(ctx: ConversionContext, x: Value, dim: int, start: Dim | Value, length: Dim) -> Value:
    """aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a).

    A tensor for the start may be computed at run time; it is then taken to be within range.
    """
    axis = ctx.axis_to_cut(dim, x.type.rank, "narrow")
    size = x.type.shape[axis]
    if isinstance(length, int) and length < 0:
        raise ConversionError(f"{ctx.operator}: length must not be negative", got=length)
    if isinstance(start, Value):
        if start.type.rank or not start.type.dtype.is_integer:
            raise ConversionError(
                f"{ctx.operator}: start is an integer tensor without axes", got=start.type
            )
        if start.constant is None:
            ctx.require_enough("length", length, size, _CLAMPED)
            return ctx.emit(ops.Gather(x, run_time_places(ctx, x, axis, start, length), axis))
        start = int(start.constant.data)
    low = spans.from_front(ctx, start, size)
    if is_less(start, 0):
        ctx.require_enough("start", -start, size, _CLAMPED)
    ctx.require_enough("length", low + length, size, _CLAMPED)
    return ctx.emit(ops.Slice(x, axis, low, length))


def run_time_places(
    ctx: ConversionContext, x: Value, axis: int, start: Value, length: Dim
) -> Value:
    """Places of as many elements of an axis, from one on that a tensor holds."""
    first = not_negative(ctx, ctx.cast(start, DType.INT64), x.type.shape[axis])
    return ctx.emit(ops.Add(ctx.emit(ops.Arange(length), "within"), first), "places")


@converts("aten::select", "aten::select_copy")
def select(ctx: ConversionContext, x: Value, dim: int, index: Dim | Value) -> Value:
    """aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a).

    An index that a tensor holds may be computed at run time; it is then taken to be within range.
    """
    if isinstance(index, Value):
        place = ctx.cast(ctx.emit(ops.Reshape(index, ()), "place"), DType.INT64)
        return ctx.emit(ops.Gather(x, place, spans.axis_to_select(ctx, x, dim)))
    span = spans.selected(ctx, x, dim, index)
    piece = ctx.emit(ops.Slice(x, span.axis, span.start, span.length), "slice")
    return ctx.emit(ops.Squeeze(piece, (span.axis,)))


@converts("aten::slice_scatter")
def slice_scatter(
    ctx: ConversionContext,
    x: Value,
    src: Value,
    dim: int = 0,
    start: Dim | None = None,
    end: Dim | None = None,
    step: Dim = 1,
) -> Value:
    """aten::slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor."""
    return _scattered(ctx, x, src, spans.sliced(ctx, x, dim, start, end, step))


@converts("aten::select_scatter")
def select_scatter(
    ctx: ConversionContext, x: Value, src: Value, dim: int, index: Dim | Value
) -> Value:
    """aten::select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor.

    An index as select takes it.
    """
    axis = spans.axis_to_select(ctx, x, dim)
    if src.type.rank != x.type.rank - 1:
        raise ConversionError(
            "select_scatter: src has one axis less than self", expected=x.type, got=src.type
        )
    wanted = (*x.type.shape[:axis], *x.type.shape[axis + 1 :])
    _require_replaces(ctx, x, src, wanted)
    return put_selected(ctx, x, ctx.cast(src, x.type.dtype), axis, index)


def put_selected(
    ctx: ConversionContext, base: Value, part: Value, dim: int, index: Dim | Value
) -> Value:
    """The base with ``part`` in place of what ``select(dim, index)`` takes of it."""
    if not isinstance(index, Value):
        span = spans.selected(ctx, base, dim, index)
        return spans.put(ctx, base, ctx.emit(ops.Unsqueeze(part, (span.axis,)), "part"), span)
    axis = spans.axis_to_select(ctx, base, dim)
    place = ctx.cast(ctx.emit(ops.Reshape(index, (1,)), "place"), DType.INT64)
    place = not_negative(ctx, place, base.type.shape[axis])
    return spans.scattered(ctx, base, ctx.emit(ops.Unsqueeze(part, (axis,)), "part"), place, axis)


def _scattered(ctx: ConversionContext, x: Value, src: Value, span: spans.Span) -> Value:
    shape = x.type.shape
    wanted = (*shape[: span.axis], span.length, *shape[span.axis + 1 :])
    _require_replaces(ctx, x, src, wanted)
    return spans.put(ctx, x, ctx.cast(src, x.type.dtype), span)


def _require_replaces(ctx: ConversionContext, x: Value, src: Value, wanted: Sequence[Dim]) -> None:
    if len(wanted) != src.type.rank or not all(map(is_equal, wanted, src.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: src is not of the shape that it replaces",
            expected=x.type.with_shape(tuple(wanted)),
            got=src.type,
        )


@converts("aten::as_strided", "aten::as_strided_copy")
def as_strided(
    ctx: ConversionContext,
    x: Value,
    size: Sequence[Dim],
    stride: Sequence[Dim],
    storage_offset: Dim | None = None,
) -> Value:
    """aten::as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a).

    Of tensors whose elements certainly lie in order in memory: inputs (as they are assumed to
    come) and what elementwise operators and matrix products make of them. Static sizes.
    """
    places = _places(ctx, x, size, stride, storage_offset)
    flat = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")
    return ctx.emit(ops.Gather(flat, ctx.constant(places, DType.INT64, "places"), 0))


@converts("aten::as_strided_scatter")
def as_strided_scatter(
    ctx: ConversionContext,
    x: Value,
    src: Value,
    size: Sequence[Dim],
    stride: Sequence[Dim],
    storage_offset: Dim | None = None,
) -> Value:
    """aten::as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor.

    Of what as_strided takes. Which of several elements stays at one place is undefined.
    """
    places = _places(ctx, x, size, stride, storage_offset)
    if any(step == 0 and n > 1 for n, step in zip(places.shape, stride, strict=True)):
        raise ConversionError(
            f"{ctx.operator}: several elements go to one place",
            got=f"sizes {list(size)}, strides {list(stride)}",
        )
    if src.type.shape != places.shape:
        raise ConversionError(
            f"{ctx.operator}: src is not of the sizes", expected=list(places.shape), got=src.type
        )
    if not places.size:
        return x
    flat = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")
    at = ctx.constant(places.reshape(-1), DType.INT64, "places")
    given = ctx.emit(ops.Reshape(ctx.cast(src, x.type.dtype), (places.size,)), "given")
    done = ctx.emit(ops.ScatterElements(flat, at, given, 0), "done")
    return ctx.emit(ops.Reshape(done, x.type.shape))


def _places(
    ctx: ConversionContext,
    x: Value,
    size: Sequence[Dim],
    stride: Sequence[Dim],
    storage_offset: Dim | None,
) -> NDArray[np.int64]:
    """Which of all elements in a row strides name, in the shape ``size``."""
    if not _in_order(x):
        raise ctx.unsupported(
            "stride",
            "how its elements lie in memory is not known",
            "write it as reshape, narrow, select or unfold",
        )
    count = ctx.static(x.type.numel, "self")
    sizes = [ctx.static(one, "size") for one in size]
    strides = [ctx.static(one, "stride") for one in stride]
    offset = ctx.static(0 if storage_offset is None else storage_offset, "storage_offset")
    if len(sizes) != len(strides) or min([offset, *sizes, *strides]) < 0:
        raise ConversionError(
            f"{ctx.operator}: as many strides as sizes, none of them negative",
            got=f"{sizes}, {strides}, {offset}",
        )
    places: NDArray[np.int64] = np.full((), offset, np.int64)
    for length, step in zip(sizes, strides, strict=True):
        places = places[..., None] + np.arange(length) * step
    if places.size and int(places.max()) >= count:
        raise ConversionError(
            f"{ctx.operator}: out of the bounds of its memory",
            expected=f"at most element {count - 1}",
            got=int(places.max()),
        )
    return places


def _in_order(x: Value) -> bool:
    """Whether torch certainly has the elements in row-major order, from the storage's start."""
    if x.producer is None:
        return True
    op = x.producer.op
    if isinstance(op, (ops.MatMul, ops.Linear, ops.Full, ops.Arange)):
        return True
    if isinstance(op, (ops.Reshape, ops.Squeeze, ops.Unsqueeze, ops.Cast)):
        return _in_order(op.x)
    same = all(value.type.shape == x.type.shape for value in op.operands() if value.type.rank)
    return (
        type(op).__module__ == ops.elementwise.__name__
        and same
        and all(value.constant is not None or _in_order(value) for value in op.operands())
    )
