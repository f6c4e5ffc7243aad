"""Converters of operators that put elements at places that index tensors say."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converters._indices import not_negative, require_within
from fwd_ops_torch.converting import ConversionContext, Number, converts

#: Names that torch has for combinations.
_COMBINATIONS: dict[str, ops.scattering.Combination] = {
    "sum": "sum",
    "add": "sum",
    "prod": "prod",
    "multiply": "prod",
    "amax": "max",
    "amin": "min",
}
_NEUTRAL = {"sum": 0, "prod": 1, "mean": 0}


@converts("aten::scatter", "aten::scatter_")
def scatter(
    ctx: ConversionContext,
    x: Value,
    dim: int,
    index: Value,
    src: Value | None = None,
    value: Number | None = None,
    reduce: str | None = None,
) -> Value:
    """aten::scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor.

    A tensor or a number, put there, added (``reduce="add"``) or multiplied with.
    """
    if reduce is not None and reduce not in ("add", "multiply"):
        raise ConversionError(
            f"{ctx.operator}: unknown reduce", expected="add, multiply", got=reduce
        )
    if src is None:
        assert value is not None
        number = ctx.number(value, x.type.dtype, "value")
        src = ctx.emit(ops.Expand(number, index.type.shape), "values")
    return _scattered(ctx, x, dim, index, src, reduce, include_self=True)


@converts("aten::scatter_add", "aten::scatter_add_")
def scatter_add(ctx: ConversionContext, x: Value, dim: int, index: Value, src: Value) -> Value:
    """aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor."""
    return _scattered(ctx, x, dim, index, src, "sum", include_self=True)


@converts("aten::scatter_reduce", "aten::scatter_reduce_")
def scatter_reduce(
    ctx: ConversionContext,
    x: Value,
    dim: int,
    index: Value,
    src: Value,
    reduce: str,
    include_self: bool = True,
) -> Value:
    """aten::scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> Tensor.

    sum, prod, mean, amax and amin.
    """
    _require_reduction(ctx, reduce, ("sum", "prod", "mean", "amax", "amin"))
    return _scattered(ctx, x, dim, index, src, reduce, include_self=include_self)


@converts("aten::index_reduce", "aten::index_reduce_")
def index_reduce(
    ctx: ConversionContext,
    x: Value,
    dim: int,
    index: Value,
    source: Value,
    reduce: str,
    include_self: bool = True,
) -> Value:
    """aten::index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> Tensor.

    prod, mean, amax and amin.
    """
    _require_reduction(ctx, reduce, ("prod", "mean", "amax", "amin"))
    return _along(ctx, x, dim, index, source, reduce, include_self=include_self)


@converts("aten::index_add", "aten::index_add_")
def index_add(
    ctx: ConversionContext, x: Value, dim: int, index: Value, source: Value, alpha: Number = 1
) -> Value:
    """aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor."""
    _require_same_dtype(ctx, x, source)
    if alpha != 1:
        if isinstance(alpha, float) and not x.type.dtype.is_float:
            raise ConversionError(f"{ctx.operator}: alpha must not be a float for {x.type.dtype}")
        factor = ctx.number(alpha, x.type.dtype, "alpha")
        source = (
            ctx.emit(ops.And(source, factor))
            if x.type.dtype is DType.BOOL
            else ctx.emit(ops.Mul(source, factor), "scaled")
        )
    return _along(ctx, x, dim, index, source, "sum")


@converts("aten::index_copy", "aten::index_copy_")
def index_copy(ctx: ConversionContext, x: Value, dim: int, index: Value, source: Value) -> Value:
    """aten::index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor."""
    return _along(ctx, x, dim, index, source, None)


@converts("aten::index_fill", "aten::index_fill_")
def index_fill(
    ctx: ConversionContext, x: Value, dim: int, index: Value, value: Value | Number
) -> Value:
    """aten::index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor. Or a 0-d tensor."""
    if isinstance(value, Value) and value.type.rank:
        raise ConversionError(f"{ctx.operator}: value has no axes", got=value.type)
    axis = ctx.axis(dim, x.type.rank)
    if index.type.rank > 1:
        raise ConversionError(f"{ctx.operator}: index has at most 1 axis", got=index.type)
    shape = list(x.type.shape) or [1]
    shape[axis] = index.type.numel
    number = ctx.tensor(value, x.type.dtype)
    return _along(ctx, x, dim, index, ctx.emit(ops.Expand(number, tuple(shape)), "values"), None)


@converts("aten::put", "aten::put_")
def put(
    ctx: ConversionContext, x: Value, index: Value, source: Value, accumulate: bool = False
) -> Value:
    """aten::put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor. Of all elements in a row."""
    _require_same_dtype(ctx, x, source)
    require_within(ctx, "index", index, x.type.numel)
    flat = ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")
    positive = not_negative(ctx, index, x.type.numel)
    places = ctx.emit(ops.Reshape(positive, (index.type.numel,)), "places")
    values = ctx.emit(ops.Reshape(source, (index.type.numel,)), "values")
    done = combined(ctx, flat, places, values, 0, "sum" if accumulate else None)
    return ctx.emit(ops.Reshape(done, x.type.shape))


def combined(
    ctx: ConversionContext,
    x: Value,
    index: Value,
    src: Value,
    axis: int,
    reduce: str | None,
    *,
    include_self: bool = True,
) -> Value:
    """Elements put at places, or combined with what is there.

    Args:
        ctx: Adds the operators.
        x: Any tensor of 1 axis or more.
        index: Places along the axis, none negative.
        src: Of the shape of index and the dtype of x.
        axis: The axis that places are of.
        reduce: torch's name of a combination, ``mean`` too; ``None`` replaces.
        include_self: Whether what was there before counts.
    """
    if reduce is None:
        return ctx.emit(ops.ScatterElements(x, index, src, axis))
    dtype = x.type.dtype
    if dtype is DType.BOOL:
        numbers = [ctx.cast(one, DType.INT32) for one in (x, src)]
        done = combined(ctx, numbers[0], index, numbers[1], axis, reduce, include_self=include_self)
        return ctx.cast(done, DType.BOOL)
    base = x
    if not include_self:
        start = src  # any of those that meet there, for extrema
        if reduce in _NEUTRAL:
            neutral = ctx.constant(_NEUTRAL[reduce], dtype, "neutral")
            start = ctx.emit(ops.Expand(neutral, index.type.shape), "start")
        base = ctx.emit(ops.ScatterElements(x, index, start, axis), "cleared")
    if reduce != "mean":
        return ctx.emit(ops.ScatterElements(base, index, src, axis, _COMBINATIONS[reduce]))
    total = ctx.emit(ops.ScatterElements(base, index, src, axis, "sum"), "total")
    ones = ctx.emit(ops.Full(index.type.shape, 1, DType.INT32), "ones")
    counted = ctx.emit(ops.Full(x.type.shape, int(include_self), DType.INT32), "before")
    count = ctx.emit(ops.ScatterElements(counted, index, ones, axis, "sum"), "count")
    count = ctx.emit(ops.Maximum(count, ctx.number(1, DType.INT32)), "divisor")
    divide = ops.Div if dtype.is_float else ops.FloorDiv
    return ctx.emit(divide(total, ctx.cast(count, dtype)))


def _scattered(
    ctx: ConversionContext,
    x: Value,
    dim: int,
    index: Value,
    src: Value,
    reduce: str | None,
    *,
    include_self: bool,
) -> Value:
    """Torch's scatter: the index may be smaller than x and src, and 0-d stands for 1-d."""
    if index.type.numel == 0:
        return x
    _require_same_dtype(ctx, x, src)
    axis = ctx.axis(dim, x.type.rank)
    flat, places, values = (
        one if one.type.rank else ctx.emit(ops.Unsqueeze(one, (0,))) for one in (x, index, src)
    )
    if not flat.type.rank == places.type.rank == values.type.rank:
        raise ConversionError(
            f"{ctx.operator}: as many axes in index and src", expected=x.type, got=index.type
        )
    for place, (size, have) in enumerate(zip(values.type.shape, places.type.shape, strict=True)):
        if is_less(size, have) is True:
            raise ConversionError(
                f"{ctx.operator}: more indices than elements of src",
                expected=src.type,
                got=index.type,
            )
        ctx.require_enough("index", have, size)
        if size != have:
            values = ctx.emit(ops.Slice(values, place, 0, have), "values")
    pairs = zip(places.type.shape, flat.type.shape, strict=True)
    others = [pair for place, pair in enumerate(pairs) if place != axis]
    require_within(ctx, "index", index, flat.type.shape[axis], from_end=False, each=others)
    done = combined(ctx, flat, places, values, axis, reduce, include_self=include_self)
    return done if x.type.rank else ctx.emit(ops.Squeeze(done, (0,)))


def _along(
    ctx: ConversionContext,
    x: Value,
    dim: int,
    index: Value,
    source: Value,
    reduce: str | None,
    *,
    include_self: bool = True,
) -> Value:
    """Slices of source at 1-d places of an axis of x."""
    _require_same_dtype(ctx, x, source)
    axis = ctx.axis(dim, x.type.rank)
    if index.type.rank > 1:
        raise ConversionError(f"{ctx.operator}: index has at most 1 axis", got=index.type)
    flat = x if x.type.rank else ctx.emit(ops.Unsqueeze(x, (0,)), "flat")
    places = index if index.type.rank else ctx.emit(ops.Unsqueeze(index, (0,)), "places")
    size = flat.type.shape[axis]
    from_end = "index_fill" in ctx.operator  # all others refuse negative ones, as torch does
    require_within(ctx, "index", index, size, from_end=from_end)
    if from_end:
        places = not_negative(ctx, places, size)
    count = places.type.shape[0]
    wanted = (*flat.type.shape[:axis], count, *flat.type.shape[axis + 1 :])
    if source.type.rank == 0 and product(wanted) == 1:
        source = ctx.emit(ops.Reshape(source, wanted), "source")
    _require_fit(ctx, source, wanted)
    if count == 0:
        return x
    column = ctx.emit(ops.Unsqueeze(places, tuple(range(1, len(wanted) - axis))), "column")
    wide = ctx.emit(ops.Expand(column, wanted), "index")
    done = combined(ctx, flat, wide, source, axis, reduce, include_self=include_self)
    return done if x.type.rank else ctx.emit(ops.Squeeze(done, (0,)))


def _require_reduction(ctx: ConversionContext, reduce: str, known: Sequence[str]) -> None:
    if reduce not in known:
        raise ConversionError(
            f"{ctx.operator}: unknown reduce", expected=", ".join(known), got=reduce
        )


def _require_same_dtype(ctx: ConversionContext, x: Value, source: Value) -> None:
    if x.type.dtype is not source.type.dtype:
        raise ConversionError(
            f"{ctx.operator}: what is put is not of the tensor's dtype",
            expected=x.type.dtype,
            got=source.type,
        )


def _require_fit(ctx: ConversionContext, source: Value, wanted: Sequence[Dim]) -> None:
    if source.type.rank != len(wanted) or not all(map(is_equal, source.type.shape, wanted)):
        raise ConversionError(
            f"{ctx.operator}: source does not have the shape that it replaces",
            expected=list(wanted),
            got=source.type,
        )
