"""Converters of operators that find the places of numbers among numbers in order."""

from __future__ import annotations

from collections.abc import Callable

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, is_equal, ops
from fwd_ops_torch.converters._numerics import flat, is_nan
from fwd_ops_torch.converting import ConversionContext, Number, Operand, converts

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@converts("aten::searchsorted")
def searchsorted(
    ctx: ConversionContext,
    x: Value,
    self: Operand,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Value | None = None,
) -> Value:
    """aten::searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None) -> Tensor.

    Numbers. Every number is compared with every element of its sequence, and those below counted.
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ConversionError(
            "searchsorted: side and right differ, or there is no such side",
            expected="left or right",
            got=f"{side}, right={right}",
        )
    if x.type.rank == 0:
        raise ConversionError("searchsorted: a sequence has an axis", got=x.type)
    sequence = x
    if sorter is not None:
        if sorter.type.shape != x.type.shape or sorter.type.dtype is not DType.INT64:
            raise ConversionError(
                "searchsorted: sorter is not an order of the sequence", expected=x.type, got=sorter.type
            )  # fmt: skip
        sequence = ctx.emit(ops.GatherElements(x, sorter, x.type.rank - 1), "sorted")
    sequence, numbers = ctx.promote(sequence, self)
    lead, given = x.type.shape[:-1], numbers.type.shape[:-1]
    if x.type.rank > 1 and (len(lead) != len(given) or not all(map(is_equal, lead, given))):
        raise ConversionError(
            "searchsorted: one sequence, or one per row of numbers",
            expected=x.type,
            got=numbers.type,
        )
    found = _below(ctx, sequence, numbers, inclusive=right or side == "right")
    return ctx.cast(found, DType.INT32 if out_int32 else DType.INT64)


@converts("aten::bucketize")
def bucketize(
    ctx: ConversionContext,
    x: Operand,
    boundaries: Value,
    out_int32: bool = False,
    right: bool = False,
) -> Value:
    """aten::bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor."""
    if boundaries.type.rank != 1:
        raise ConversionError("bucketize: boundaries have one axis", got=boundaries.type)
    return searchsorted(ctx, boundaries, x, out_int32, right)


@converts("aten::isin", no_effect={"assume_unique": "it only tells torch what it may skip"})
def isin(
    ctx: ConversionContext,
    elements: Operand | None = None,
    test_elements: Value | None = None,
    test_element: Number | None = None,
    element: Number | None = None,
    invert: bool = False,
) -> Value:
    """aten::isin.Tensor_Tensor(Tensor elements, Tensor test_elements, *, bool assume_unique=False, bool invert=False) -> Tensor.

    Numbers; either may be a Python number. Every element is compared with every test element.
    """
    x = elements if element is None else element
    tests = test_elements if test_elements is not None else test_element
    assert x is not None
    assert tests is not None
    for one in (x, tests):
        if isinstance(one, bool) or (isinstance(one, Value) and one.type.dtype is DType.BOOL):
            raise ConversionError(
                "isin: not for bool", got=one.type if isinstance(one, Value) else one
            )
    first, second = ctx.promote(x, tests)
    found = ctx.emit(
        ops.Equal(
            ctx.emit(ops.Unsqueeze(first, (first.type.rank,)), "each"),
            ctx.emit(ops.Reshape(second, (second.type.numel,)), "tests"),
        ),
        "equal",
    )
    result = ctx.emit(ops.ReduceAny(found, (first.type.rank,)), "found")
    return ctx.emit(ops.Not(result)) if invert else result


@converts("aten::quantile")
def quantile(
    ctx: ConversionContext,
    x: Value,
    q: Operand,
    dim: int | None = None,
    keepdim: bool = False,
    interpolation: str = "linear",
) -> Value:
    """aten::quantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation="linear") -> Tensor.

    float32 or float64; q is a number or has one axis, which becomes the first one. NaN if there is
    one.
    """
    return _quantile(ctx, x, q, dim, keepdim, interpolation, without_nan=False)


@converts("aten::nanquantile")
def nanquantile(
    ctx: ConversionContext,
    x: Value,
    q: Operand,
    dim: int | None = None,
    keepdim: bool = False,
    interpolation: str = "linear",
) -> Value:
    """aten::nanquantile(Tensor self, Tensor q, int? dim=None, bool keepdim=False, *, str interpolation="linear") -> Tensor.

    quantile of what is no NaN; NaN if there is nothing else.
    """
    return _quantile(ctx, x, q, dim, keepdim, interpolation, without_nan=True)


def _quantile(
    ctx: ConversionContext,
    x: Value,
    q: Operand,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    *,
    without_nan: bool,
) -> Value:
    if interpolation not in _INTERPOLATIONS:
        raise ConversionError(
            f"{ctx.operator}: unknown interpolation",
            expected=", ".join(_INTERPOLATIONS),
            got=interpolation,
        )
    if x.type.dtype.itemsize < 4 or not x.type.dtype.is_float or x.type.numel == 0:
        raise ConversionError(f"{ctx.operator}: float32 or float64, not empty", got=x.type)
    if isinstance(q, Value):
        if q.type.dtype is not x.type.dtype or q.type.rank > 1:
            raise ConversionError(
                f"{ctx.operator}: q is of the same dtype, with one axis", got=q.type
            )
    elif not 0 <= q <= 1:  # type: ignore[operator]
        raise ConversionError(f"{ctx.operator}: q is out of range", expected="0 … 1", got=q)
    axis = 0 if dim is None else ctx.axis(dim, x.type.rank)
    rows = flat(ctx, x) if dim is None or not x.type.rank else x
    rank = rows.type.rank
    order = (*(other for other in range(rank) if other != axis), axis)
    last = ctx.emit(ops.Transpose(rows, order), "last")
    places = ctx.tensor(q, x.type.dtype)
    if without_nan:
        result = _between_numbers(ctx, last, places, interpolation)
    else:
        result = _interpolated(ctx, last, places, interpolation)
    # Of rows [*rest] and places [q] or none.
    several = isinstance(q, Value) and q.type.rank == 1
    if several:
        result = ctx.emit(ops.Transpose(result, (rank - 1, *range(rank - 1))), "quantiles")
    if not keepdim or not x.type.rank:
        return result
    start = int(several)
    kept = range(start, start + x.type.rank) if dim is None else (start + axis,)
    return ctx.emit(ops.Unsqueeze(result, tuple(kept)))


def _interpolated(ctx: ConversionContext, x: Value, q: Value, interpolation: str) -> Value:
    """Between the elements of the last axis; the axis of q, if it has one, comes last."""
    axis, dtype = x.type.rank - 1, x.type.dtype
    size = x.type.shape[axis]
    values = ctx.emit_all(ops.TopK(x, size, axis, largest=False), "least")[0]
    rank = ctx.emit(ops.Mul(q, ctx.number(size - 1, dtype, "last")), "rank")

    def pick(places: Value) -> Value:
        return ctx.emit(ops.Gather(values, places, axis), "picked")

    result = _between(ctx, rank, interpolation, pick)
    nan = ctx.emit(ops.ReduceAny(is_nan(ctx, x), (axis,), keepdims=bool(q.type.rank)), "any_nan")
    return ctx.emit(ops.Where(nan, ctx.number(float("nan"), dtype), result), "quantile")


def _between_numbers(ctx: ConversionContext, x: Value, q: Value, interpolation: str) -> Value:
    """The same between what is no NaN, of which each row has its own number."""
    axis, dtype = x.type.rank - 1, x.type.dtype
    ordered = ops.TopK(x, x.type.shape[axis], axis, largest=False)
    values = ctx.emit_all(ordered, "least")[0]  # a NaN is greater than every number
    numbers = ctx.cast(ctx.emit(ops.Not(is_nan(ctx, x)), "numbers"), dtype)
    counted = ctx.emit(ops.ReduceSum(numbers, (axis,), keepdims=True), "count")
    zero, one = (ctx.number(each, dtype) for each in (0.0, 1.0))
    last = ctx.emit(ops.Maximum(ctx.emit(ops.Sub(counted, one)), zero), "last")
    rank = ctx.emit(ops.Mul(q, last), "rank")

    def pick(places: Value) -> Value:
        return ctx.emit(ops.GatherElements(values, places, axis), "picked")

    result = _between(ctx, rank, interpolation, pick)
    return result if q.type.rank else ctx.emit(ops.Squeeze(result, (axis,)), "quantile")


def _between(
    ctx: ConversionContext, rank: Value, interpolation: str, pick: Callable[[Value], Value]
) -> Value:
    """What lies at a place in order that need not be whole."""
    dtype = rank.type.dtype
    below = ctx.emit(ops.Floor(rank), "below")
    rest = ctx.emit(ops.Sub(rank, below), "rest")
    half = ctx.number(0.5, dtype, "half")
    if interpolation == "midpoint":
        weight = half
    elif interpolation == "nearest":  # the even one of two
        two = ctx.number(2.0, dtype, "two")
        odd = ctx.emit(ops.Mod(below, two), "odd")
        tie = ctx.emit(ops.Where(ctx.emit(ops.Equal(rest, half)), odd, rest), "tie")
        weight = ctx.cast(ctx.emit(ops.Greater(tie, half), "up"), dtype)
    else:
        weight = rest
    low = pick(ctx.cast(below, DType.INT64))
    high = pick(ctx.cast(ctx.emit(ops.Ceil(rank), "above"), DType.INT64))
    if interpolation in ("lower", "higher"):
        return low if interpolation == "lower" else high
    step = ctx.emit(ops.Mul(ctx.emit(ops.Sub(high, low), "step"), weight), "part")
    return ctx.emit(ops.Add(low, step), "between")


def _below(ctx: ConversionContext, sequence: Value, numbers: Value, *, inclusive: bool) -> Value:
    rank = numbers.type.rank
    each = ctx.emit(ops.Unsqueeze(numbers, (rank,)), "each")
    if sequence.type.rank > 1:
        sequence = ctx.emit(ops.Unsqueeze(sequence, (rank - 1,)), "sequence")
    if sequence.type.dtype is DType.BOOL:
        sequence, each = ctx.cast(sequence, DType.INT32), ctx.cast(each, DType.INT32)
    compare = ops.LessEqual if inclusive else ops.Less
    below = ctx.cast(ctx.emit(compare(sequence, each), "below"), DType.INT64)
    return ctx.emit(ops.ReduceSum(below, (rank,)), "place")
