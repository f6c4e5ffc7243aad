"""Converters of operators that make numbers in order, and patterns of places made from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Union

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, DType, Value, is_less, ops
from fwd_core.ir.dims import maximum
from fwd_ops_torch.converters.creation import PLACE
from fwd_ops_torch.converting import ConversionContext, Operand, converts
from fwd_ops_torch.converting.context import default_float
from fwd_ops_torch.converting.size_floats import SizeFloat

Bound = Union[int, float, DimExpr]
#: Sizes are counted in fractions of a step down to one of so many.
_DENOMINATOR = 1 << 16


@converts("aten::arange", no_effect=PLACE)
def arange(
    ctx: ConversionContext,
    start: Bound = 0,
    end: Bound | None = None,
    step: Bound = 1,
    dtype: DType | None = None,
) -> Value:
    """aten::arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, ...) -> Tensor.

    Numbers or sizes; float bounds give torch's default float dtype.
    """
    assert end is not None
    bounds = (start, end, step)
    floats = any(isinstance(bound, float) for bound in bounds)
    default = default_float() if floats else DType.INT64
    return _steps(ctx, *bounds, dtype if dtype is not None else default, closed=False)


@converts("aten::range", no_effect=PLACE)
def range_(
    ctx: ConversionContext, start: Bound, end: Bound, step: Bound = 1, dtype: DType | None = None
) -> Value:
    """aten::range.step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, ...) -> Tensor.

    Like arange, with the end, and of torch's default float dtype.
    """
    return _steps(ctx, start, end, step, dtype if dtype is not None else default_float(), True)


def _steps(
    ctx: ConversionContext, start: Bound, end: Bound, step: Bound, dtype: DType, closed: bool
) -> Value:
    if step == 0:
        raise ctx.unsupported("step", "a step of zero", "give a step above or below 0")
    if isinstance(step, DimExpr) and (
        any(isinstance(bound, float) for bound in (start, end)) or is_less(step, 1) is not False
    ):
        raise ctx.unsupported(
            "step",
            "a step that is dynamic, and no whole number above 0",
            "count up in integers, torch.arange(n), and multiply",
        )
    if dtype is DType.BOOL:
        raise ctx.unsupported("dtype", "a range of bool", "compare a range of integers with 0")
    if not isinstance(step, DimExpr) and any(isinstance(one, float) for one in (start, end, step)):
        length = _float_count(ctx, start, end, step, closed)
    else:
        span: Any = end - start  # type: ignore[operator]
        length = span // step + 1 if closed else -(-span // step)
    if not dtype.is_float:
        # Torch converts the bounds before it counts up.
        start, step = (one if isinstance(one, DimExpr) else int(one) for one in (start, step))
    if isinstance(step, DimExpr) and dtype.is_float:  # ranges of floats have fixed steps
        return ctx.cast(ctx.emit(ops.Arange(maximum(length, 0), start, step), "whole"), dtype)
    return ctx.emit(ops.Arange(maximum(length, 0), start, step, dtype))


def _float_count(
    ctx: ConversionContext, start: Bound, end: Bound, step: float, closed: bool
) -> Dim:
    if not isinstance(start, DimExpr) and not isinstance(end, DimExpr):
        count = (end - start) / step
        return math.floor(count) + 1 if closed else math.ceil(count)
    numbers = [one for one in (start, end, step) if not isinstance(one, DimExpr)]
    scale = math.lcm(*(Fraction(one).denominator for one in numbers))
    if isinstance(start, DimExpr) or scale > _DENOMINATOR:
        return _tried_count(ctx, start, end, step, closed)
    span: Any = end * scale - int(Fraction(start) * scale)
    each = int(Fraction(step) * scale)
    length: Dim = span // each + 1 if closed else -(-span // each)
    return length


def _tried_count(
    ctx: ConversionContext, start: Bound, end: Bound, step: float, closed: bool
) -> Dim:
    """The same where no fraction is exact, for sizes that can be tried one by one."""
    span = None
    if isinstance(end, DimExpr) and not isinstance(start, DimExpr):
        span = SizeFloat(end).combined("sub", start)
    elif isinstance(start, DimExpr) and not isinstance(end, DimExpr):
        span = SizeFloat(start).combined("sub", end, reverse=True)
    steps = None if span is None else span.combined("div", step)
    count = None if steps is None else steps.rounded("floor" if closed else "ceil")
    if count is None:
        raise ctx.unsupported("end", "sizes and floats together", "count up in integers first")
    return count + 1 if closed else count


@converts("aten::linspace", no_effect=PLACE)
def linspace(
    ctx: ConversionContext, start: Operand, end: Operand, steps: Dim, dtype: DType | None = None
) -> Value:
    """aten::linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, ...) -> Tensor.

    Also between 0-d tensors. Float dtypes, unless all is known.
    """
    target = _float_target(ctx, dtype)
    return ctx.cast(_between(ctx, start, end, steps), target)


@converts("aten::logspace", no_effect=PLACE)
def logspace(
    ctx: ConversionContext,
    start: Operand,
    end: Operand,
    steps: Dim,
    base: float = 10.0,
    dtype: DType | None = None,
) -> Value:
    """aten::logspace(Scalar start, Scalar end, int steps, float base=10.0, *, ScalarType? dtype=None, ...) -> Tensor.

    Powers of the base, their exponents as linspace has them.
    """
    target = _float_target(ctx, dtype)
    exponents = _between(ctx, start, end, steps)
    powers = ctx.emit(ops.Pow(ctx.number(base, DType.FLOAT32, "base"), exponents))
    return ctx.cast(powers, target)


def _float_target(ctx: ConversionContext, dtype: DType | None) -> DType:
    target = dtype if dtype is not None else default_float()
    if not target.is_float:
        raise ctx.unsupported(
            "dtype", f"{target} of bounds or steps that are known at run time", "cast a float range"
        )
    return target


def _between(ctx: ConversionContext, start: Operand, end: Operand, steps: Dim) -> Value:
    """float32 numbers from both ends, as torch counts them, so that both are exact."""
    for bound in (start, end):
        if isinstance(bound, Value) and bound.type.rank:
            raise ConversionError(f"{ctx.operator}: bounds are numbers or 0-d", got=bound.type)
    if isinstance(steps, int) and steps < 0:
        raise ConversionError(f"{ctx.operator}: steps must not be negative", got=steps)
    kind = DType.FLOAT32
    first, last = ctx.tensor(start, kind), ctx.tensor(end, kind)
    if steps == 1:
        return ctx.emit(ops.Reshape(first, (1,)))
    front, offset = _halves(ctx, steps)
    gaps = ctx.number(maximum(steps - 1, 1), kind)
    step = ctx.emit(ops.Div(ctx.emit(ops.Sub(last, first)), gaps), "step")
    nearer = ctx.emit(ops.Where(front, first, last), "nearer")
    return ctx.emit(ops.Add(nearer, ctx.emit(ops.Mul(offset, step))))


def _halves(ctx: ConversionContext, steps: Dim) -> tuple[Value, Value]:
    """Which places count from the start, at least the first; how far each is from its end."""
    kind = DType.FLOAT32
    if isinstance(steps, int):
        counted = np.arange(steps)
        before = counted < steps // 2
        offsets = np.where(before, counted, counted - (steps - 1))
        return ctx.constant(before, DType.BOOL, "front"), ctx.constant(offsets, kind, "offset")
    place = ctx.emit(ops.Arange(steps, 0, 1, kind), "place")
    front = ctx.emit(ops.Less(place, ctx.number(steps // 2, kind)))
    front = ctx.emit(ops.Or(front, ctx.emit(ops.Equal(place, ctx.number(0, kind)))), "front")
    from_end = ctx.emit(ops.Sub(place, ctx.number(steps - 1, kind)))
    return front, ctx.emit(ops.Where(front, place, from_end), "offset")


@converts("aten::eye", no_effect=PLACE)
def eye(ctx: ConversionContext, n: Dim, m: Dim | None = None, dtype: DType | None = None) -> Value:
    """aten::eye.m(SymInt n, SymInt m, *, ScalarType? dtype=None, ...) -> Tensor."""
    width = n if m is None else m
    if any(isinstance(size, int) and size < 0 for size in (n, width)):
        raise ConversionError("eye: sizes must not be negative", got=f"{n}, {width}")
    rows, columns = _grid(ctx, n, width)
    target = dtype if dtype is not None else default_float()
    return ctx.cast(ctx.emit(ops.Equal(rows, columns)), target)


@converts("aten::tril", "aten::tril_")
def tril(ctx: ConversionContext, x: Value, diagonal: Dim = 0) -> Value:
    """aten::tril(Tensor self, SymInt diagonal=0) -> Tensor. Any dtype; batches of matrices."""
    return _triangle(ctx, x, diagonal, lower=True)


@converts("aten::triu", "aten::triu_")
def triu(ctx: ConversionContext, x: Value, diagonal: Dim = 0) -> Value:
    """aten::triu(Tensor self, SymInt diagonal=0) -> Tensor. Any dtype; batches of matrices."""
    return _triangle(ctx, x, diagonal, lower=False)


def _triangle(ctx: ConversionContext, x: Value, diagonal: Dim, lower: bool) -> Value:
    if x.type.rank < 2:
        raise ConversionError(f"{ctx.operator}: at least 2 axes", got=x.type)
    height, width = x.type.shape[-2:]
    rows, columns = _grid(ctx, height, width, diagonal)
    kept = ctx.emit((ops.LessEqual if lower else ops.GreaterEqual)(columns, rows), "kept")
    if x.type.dtype is DType.BOOL:
        return ctx.emit(ops.And(x, kept))
    return ctx.emit(ops.Where(kept, x, ctx.number(0, x.type.dtype)))


def _grid(ctx: ConversionContext, height: Dim, width: Dim, first: Dim = 0) -> tuple[Value, Value]:
    """Numbers of rows, the first of which is given, as a column; numbers of columns."""
    rows = ctx.emit(ops.Arange(height, first, 1, DType.INT32), "rows")
    columns = ctx.emit(ops.Arange(width, 0, 1, DType.INT32), "columns")
    return ctx.emit(ops.Unsqueeze(rows, (1,))), columns


@converts("aten::one_hot")
def one_hot(ctx: ConversionContext, x: Value, num_classes: Dim = -1) -> Value:
    """aten::one_hot(Tensor self, int num_classes=-1) -> Tensor. int64; an axis of classes at the end.

    A class that is out of range is an error in torch and gives zeros here.
    """
    if x.type.dtype is not DType.INT64:
        raise ConversionError("one_hot: for int64 only", got=x.type)
    if isinstance(num_classes, int) and num_classes < 1:
        if num_classes == -1:
            raise ctx.unsupported(
                "num_classes",
                "the size of the result depends on data",
                "say how many classes there are",
            )
        raise ConversionError("one_hot: num_classes must be positive", got=num_classes)
    classes = ctx.emit(ops.Arange(num_classes, 0, 1, DType.INT64), "classes")
    found = ctx.emit(ops.Equal(ctx.emit(ops.Unsqueeze(x, (x.type.rank,))), classes))
    return ctx.cast(found, DType.INT64)


@converts("aten::meshgrid")
def meshgrid(ctx: ConversionContext, tensors: list[Value], indexing: str = "ij") -> list[Value]:
    """aten::meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]. One dtype for all."""
    if indexing not in ("ij", "xy"):
        raise ConversionError("meshgrid: unknown indexing", expected="ij, xy", got=indexing)
    if any(one.type.rank > 1 for one in tensors):
        raise ConversionError("meshgrid: at most 1 axis", got=[str(one.type) for one in tensors])
    if len({one.type.dtype for one in tensors}) != 1:
        raise ConversionError("meshgrid: one dtype for all", got=[str(t.type) for t in tensors])
    order = list(range(len(tensors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = 1, 0
    sizes = [one.type.shape[0] if one.type.rank else 1 for one in tensors]
    shape = tuple(sizes[index] for index in order)
    grids = []
    for index, one in enumerate(tensors):
        alone: list[Dim] = [1] * len(order)
        alone[order.index(index)] = sizes[index]
        grids.append(ctx.emit(ops.Expand(ctx.emit(ops.Reshape(one, tuple(alone))), shape)))
    return grids


@converts("aten::cartesian_prod")
def cartesian_prod(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::cartesian_prod(Tensor[] tensors) -> Tensor. Vectors of one dtype."""
    if any(one.type.rank != 1 for one in tensors):
        raise ConversionError("cartesian_prod: vectors only", got=[str(t.type) for t in tensors])
    if len(tensors) == 1:
        return tensors[0]
    grids = meshgrid(ctx, list(tensors))
    count = grids[0].type.numel
    columns = [ctx.emit(ops.Reshape(one, (count, 1))) for one in grids]
    return ctx.emit(ops.Concat(tuple(columns), 1))
