"""Converters of operators that take the diagonal of two axes, or make it."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_ops_torch.converters._numerics import places
from fwd_ops_torch.converting import ConversionContext, Number, converts
from fwd_ops_torch.converting.spans import Diagonal, put_diagonal


@converts("aten::diagonal", "aten::diagonal_copy", "aten::linalg_diagonal")
def diagonal(
    ctx: ConversionContext,
    x: Value,
    offset: int = 0,
    dim1: int = 0,
    dim2: int = 1,
) -> Value:
    """aten::diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a). It becomes the last axis."""
    found = Diagonal.of(ctx, x, offset, dim1, dim2)
    flat = found.flat(ctx, x)
    axis = flat.type.rank - 1
    if isinstance(found.step, int):
        return ctx.emit(ops.Slice(flat, axis, found.start, found.length, found.step))
    places = ctx.emit(ops.Arange(found.length, found.start, found.step), "places")
    return ctx.emit(ops.Gather(flat, places, axis))


@converts("aten::diagonal_scatter")
def diagonal_scatter(
    ctx: ConversionContext, x: Value, src: Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    """aten::diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor."""
    found = Diagonal.of(ctx, x, offset, dim1, dim2)
    wanted = found.shape(x)
    if len(wanted) != src.type.rank or not all(map(is_equal, wanted, src.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: src is not of the shape that it replaces",
            expected=x.type.with_shape(wanted),
            got=src.type,
        )
    return put_diagonal(ctx, x, ctx.cast(src, x.type.dtype), found)


@converts("aten::diag_embed")
def diag_embed(
    ctx: ConversionContext, x: Value, offset: int = 0, dim1: int = -2, dim2: int = -1
) -> Value:
    """aten::diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor. Zeros elsewhere."""
    rank = x.type.rank + 1
    first, second = ctx.axis(dim1, rank), ctx.axis(dim2, rank)
    if x.type.rank == 0 or first == second:
        raise ConversionError(
            f"{ctx.operator}: two axes beyond those of a tensor of 1 axis or more",
            got=f"{x.type}, axes {dim1} and {dim2}",
        )
    matrix = _embedded(ctx, x, offset)
    order = list(range(rank - 2))
    for place, axis in sorted([(first, rank - 2), (second, rank - 1)]):
        order.insert(place, axis)
    return ctx.emit(ops.Transpose(matrix, tuple(order)))


@converts("aten::diag")
def diag(ctx: ConversionContext, x: Value, diagonal: int = 0) -> Value:
    """aten::diag(Tensor self, int diagonal=0) -> Tensor. A vector gives a matrix, a matrix its diagonal."""
    if x.type.rank not in (1, 2):
        raise ConversionError(f"{ctx.operator}: 1 or 2 axes", got=x.type)
    return _embedded(ctx, x, diagonal) if x.type.rank == 1 else _taken(ctx, x, diagonal)


@converts("aten::diagflat")
def diagflat(ctx: ConversionContext, x: Value, offset: int = 0) -> Value:
    """aten::diagflat(Tensor self, int offset=0) -> Tensor. All elements in a row on a diagonal."""
    return _embedded(ctx, ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat"), offset)


@converts("aten::fill_diagonal_")
def fill_diagonal(
    ctx: ConversionContext, x: Value, fill_value: Number, wrap: bool = False
) -> Value:
    """aten::fill_diagonal_(Tensor(a!) self, Scalar fill_value, bool wrap=False) -> Tensor(a!).

    Of a matrix, or of more axes of one size. With wrap it starts anew below, one row further.
    """
    shape = x.type.shape
    if len(shape) < 2:
        raise ConversionError(f"{ctx.operator}: 2 axes or more", got=x.type)
    if len(shape) > 2:
        for size in shape[1:]:
            ctx.require_equal("sizes", shape[0], size)
    rows, *others = (places(ctx, x, axis) for axis in range(len(shape)))
    if wrap and len(shape) == 2:
        turn = ctx.number(shape[1] + 1, DType.INT64, "turn")
        rows = ctx.emit(ops.Mod(rows, turn), "rows")
    on = ctx.emit(ops.Equal(rows, others[0]), "on")
    for other in others[1:]:
        on = ctx.emit(ops.And(on, ctx.emit(ops.Equal(rows, other))), "on")
    return ctx.emit(ops.Where(on, ctx.number(fill_value, x.type.dtype, "value"), x))


def _taken(ctx: ConversionContext, x: Value, offset: int) -> Value:
    return diagonal(ctx, x, offset)


def _embedded(ctx: ConversionContext, x: Value, offset: int) -> Value:
    """Matrices with x on a diagonal, as the last two axes.

    Rows of one element more than the matrix has columns, joined, put each element one column
    further than the one before.
    """
    *lead, count = x.type.shape
    side = count + abs(offset)
    start = offset if offset >= 0 else -offset * side
    column = ctx.emit(ops.Unsqueeze(x, (x.type.rank,)), "column")
    rows = _padded(ctx, column, 0, side)
    flat = ctx.emit(ops.Reshape(rows, (*lead, count * (side + 1))), "flat")
    whole = _padded(ctx, flat, start, side * side - start - count * (side + 1))
    return ctx.emit(ops.Reshape(whole, (*lead, side, side)))


def _padded(ctx: ConversionContext, x: Value, before: Dim, after: Dim) -> Value:
    lead = (0,) * (x.type.rank - 1)
    return ctx.emit(ops.Pad(x, (*lead, before), (*lead, after)), "padded")
