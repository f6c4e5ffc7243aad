"""Converters of operators that join tensors, or repeat one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_less, ops
from fwd_ops_torch.converters import shape as shapes
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.promotion import result_dtype


@converts("aten::cat", "aten::concat", "aten::concatenate")
def cat(ctx: ConversionContext, tensors: Sequence[Value], dim: int = 0) -> Value:
    """aten::cat(Tensor[] tensors, int dim=0) -> Tensor. Dtypes promote; empty 1-d tensors are left out."""
    dtype = result_dtype(list(tensors))
    kept = [value for value in tensors if value.type.shape != (0,)] or [tensors[0]]
    values = tuple(ctx.cast(value, dtype) for value in kept)
    return ctx.emit(ops.Concat(values, ctx.axis(dim, values[0].type.rank)))


@converts("aten::stack")
def stack(ctx: ConversionContext, tensors: Sequence[Value], dim: int = 0) -> Value:
    """aten::stack(Tensor[] tensors, int dim=0) -> Tensor."""
    axis = ctx.axis(dim, tensors[0].type.rank + 1)
    values = ctx.promote(*tensors)
    return ctx.emit(
        ops.Concat(tuple(ctx.emit(ops.Unsqueeze(value, (axis,))) for value in values), axis)
    )


@converts("aten::hstack")
def hstack(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::hstack(Tensor[] tensors) -> Tensor. Along the second axis; 1-d tensors along theirs."""
    values = [shapes.at_least(ctx, value, 1) for value in tensors]
    return cat(ctx, values, 0 if values[0].type.rank == 1 else 1)


@converts("aten::vstack", "aten::row_stack")
def vstack(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::vstack(Tensor[] tensors) -> Tensor. Along the first axis; 1-d tensors are rows."""
    return cat(ctx, [shapes.at_least(ctx, value, 2) for value in tensors], 0)


@converts("aten::dstack")
def dstack(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::dstack(Tensor[] tensors) -> Tensor. Along the third axis."""
    return cat(ctx, [shapes.at_least(ctx, value, 3) for value in tensors], 2)


@converts("aten::column_stack")
def column_stack(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::column_stack(Tensor[] tensors) -> Tensor. Along the second axis; 1-d tensors are columns."""
    values = [
        value
        if value.type.rank > 1
        else ctx.emit(ops.Reshape(value, (value.type.numel, 1)), "column")
        for value in tensors
    ]
    return cat(ctx, values, 1)


@converts("aten::combinations")
def combinations(
    ctx: ConversionContext, x: Value, r: int = 2, with_replacement: bool = False
) -> Value:
    """aten::combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor.

    A row of r elements each, of n elements. n is fixed, as the number of rows is none of its simple
    functions. No elements at all give [0].
    """
    if x.type.rank != 1 or r < 0:
        raise ConversionError(
            f"{ctx.operator}: expected one axis and r of 0 or more", got=f"{x.type}, r={r}"
        )
    if r == 0:
        return ctx.emit(ops.Slice(x, 0, 0, 0))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(ctx.static(x.type.shape[0], "self")), r))
    places = ctx.constant(np.array(rows, np.int64).reshape(-1, r), DType.INT64, "places")
    return ctx.emit(ops.Gather(x, places, 0))


@converts("aten::block_diag")
def block_diag(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::block_diag(Tensor[] tensors) -> Tensor. At most 2 axes each; 1-d tensors are rows. Dtypes promote."""
    if any(value.type.rank > 2 for value in tensors):
        raise ConversionError(
            f"{ctx.operator}: at most 2 axes", got=", ".join(str(one.type) for one in tensors)
        )
    dtype = result_dtype(list(tensors))
    blocks = [ctx.cast(shapes.at_least(ctx, value, 2), dtype) for value in tensors]
    widths = [block.type.shape[1] for block in blocks]
    rows = [
        ctx.emit(
            ops.Pad(block, (0, _total(widths[:place])), (0, _total(widths[place + 1 :]))), "rows"
        )
        for place, block in enumerate(blocks)
    ]
    return ctx.emit(ops.Concat(tuple(rows), 0))


@converts("aten::repeat")
def repeat(ctx: ConversionContext, x: Value, repeats: Sequence[Dim]) -> Value:
    """aten::repeat(Tensor self, SymInt[] repeats) -> Tensor. Sizes may be dynamic."""
    lead = len(repeats) - x.type.rank
    if lead < 0 or any(is_less(times, 0) is True for times in repeats):
        raise ConversionError(
            f"{ctx.operator}: a number of 0 or more for each axis",
            expected=x.type,
            got=list(repeats),
        )
    # Axis after axis, so that few axes are needed beyond those of the result.
    for axis, times in enumerate(repeats[lead:]):
        x = _repeated(ctx, x, axis, times, whole=True)
    return ctx.emit(ops.Expand(x, (*repeats[:lead], *x.type.shape))) if lead else x


@converts("aten::tile")
def tile(ctx: ConversionContext, x: Value, dims: Sequence[Dim]) -> Value:
    """aten::tile(Tensor self, SymInt[] dims) -> Tensor. Axes that are not named stay."""
    return repeat(ctx, x, [*[1] * (x.type.rank - len(dims)), *dims])


@converts("aten::repeat_interleave")
def repeat_interleave(
    ctx: ConversionContext,
    x: Value | None = None,
    repeats: Dim | Value | None = None,
    dim: int | None = None,
    output_size: Dim | None = None,
) -> Value:
    """aten::repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, SymInt? output_size=None) -> Tensor.

    A tensor of repeats has to be constant, or output_size given: the size of the result depends
    on it. That computed repeats add up to output_size is not checked.
    """
    known = repeats.constant if isinstance(repeats, Value) else None
    counts = None if known is None else known.data.astype(np.int64)
    computed = repeats if isinstance(repeats, Value) and counts is None else None
    if computed is not None and output_size is None:
        raise ctx.unsupported(
            "repeats",
            "the size of the result depends on data",
            "say how many elements come out as output_size, repeat each element equally often, or "
            "gather with an index of a fixed size",
        )
    assert repeats is not None
    if x is None:
        if computed is not None:
            assert output_size is not None
            places = _places(ctx, computed, computed.type.shape[:1], output_size)
            return ctx.cast(places, computed.type.dtype)
        assert counts is not None
        _require_output_size(ctx, int(counts.sum()), output_size)
        assert isinstance(repeats, Value)
        return ctx.constant(np.repeat(np.arange(counts.size), counts), repeats.type.dtype)
    if dim is None:
        x, dim = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat"), 0
    if x.type.rank == 0:
        raise ConversionError(f"{ctx.operator}: a 0-d tensor has no axis to repeat along")
    axis = ctx.axis(dim, x.type.rank)
    size = x.type.shape[axis]
    if isinstance(repeats, Value) and size == 0:
        output_size = 0  # as torch does, which looks at no number there
    if computed is not None:
        assert output_size is not None
        return ctx.emit(ops.Gather(x, _places(ctx, computed, (size,), output_size), axis))
    data = None if counts is None else counts.reshape(-1)
    if data is None or data.size == 1:
        times = repeats if data is None else int(data[0])
        assert not isinstance(times, Value)
        if is_less(times, 0) is True:
            raise ConversionError(f"{ctx.operator}: repeats must not be negative", got=times)
        _require_output_size(ctx, size * times, output_size)
        return _repeated(ctx, x, axis, times, whole=False)
    if size != data.size:
        raise ConversionError(
            f"{ctx.operator}: as many repeats as elements", expected=size, got=data.size
        )
    _require_output_size(ctx, int(data.sum()), output_size)
    places = ctx.constant(np.repeat(np.arange(data.size), data), DType.INT64, "places")
    return ctx.emit(ops.Gather(x, places, axis))


def _require_output_size(ctx: ConversionContext, found: Dim, output_size: Dim | None) -> None:
    if output_size is not None:
        ctx.require_equal("output_size and what the repeats add up to", output_size, found)


def _places(
    ctx: ConversionContext, repeats: Value, shape: Sequence[Dim], output_size: Dim
) -> Value:
    """Which element comes out at each of ``output_size`` places: [output_size] of int64.

    As many elements are over at a place as there are cumulative sums up to it.
    """
    if repeats.type.dtype not in (DType.INT32, DType.INT64) or repeats.type.rank > 1 or not shape:
        raise ConversionError(
            f"{ctx.operator}: repeats are int32 or int64 and have one axis", got=repeats.type
        )
    if is_less(output_size, 0) is True:
        raise ConversionError(f"{ctx.operator}: output_size must not be negative", got=output_size)
    wide = ctx.cast(repeats, DType.INT64)
    if wide.type.shape in ((), (1,)):
        wide = ctx.emit(ops.Expand(wide, tuple(shape)), "repeats")
    ctx.require_equal("sizes of repeats and of the axis", shape[0], wide.type.shape[0])
    sums = ctx.emit(ops.CumSum(wide, 0), "sums")
    places = ctx.emit(ops.Arange(output_size), "range")
    down = ctx.emit(ops.Unsqueeze(places, (1,)), "down")
    over = ctx.cast(ctx.emit(ops.LessEqual(sums, down), "over"), DType.INT64)
    count = ctx.emit(ops.ReduceSum(over, (1,)), "count")
    # Repeats that add up to less than output_size must not lead beyond the end.
    last = ctx.number(shape[0] - 1, DType.INT64, "last")
    return ctx.emit(ops.Minimum(count, last), "places")


def _repeated(ctx: ConversionContext, x: Value, axis: int, times: Dim, *, whole: bool) -> Value:
    """An axis repeated as a whole, or each of its elements by itself."""
    if times == 1:
        return x
    shape = x.type.shape
    size, before, after = shape[axis], shape[:axis], shape[axis + 1 :]
    if size == 1:
        return ctx.emit(ops.Expand(x, (*before, times, *after)), "repeated")
    pair = (times, size) if whole else (size, times)
    apart = ctx.emit(ops.Unsqueeze(x, (axis if whole else axis + 1,)), "apart")
    wide = ctx.emit(ops.Expand(apart, (*before, *pair, *after)), "wide")
    return ctx.emit(ops.Reshape(wide, (*before, times * size, *after)), "repeated")


def _total(sizes: Sequence[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = total + size
    return total
