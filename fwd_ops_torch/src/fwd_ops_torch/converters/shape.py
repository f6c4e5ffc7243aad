"""Converters of operators that move, repeat, cut or pad elements."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, Value, is_equal, is_less, ops
from fwd_core.ir.dims import divide_exactly, product
from fwd_ops_torch.converting import ConversionContext, converts, spans
from fwd_ops_torch.converting.promotion import result_dtype


@converts(
    "aten::view",
    "aten::reshape",
    "aten::_unsafe_view",
    unsupported={"dtype": "it reads the bits of elements as another dtype"},
)
def reshape(
    ctx: ConversionContext,
    x: Value,
    size: Sequence[Dim] | None = None,
    shape: Sequence[Dim] | None = None,
) -> Value:
    """aten::reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a). One size may be -1."""
    wanted = size if size is not None else shape
    assert wanted is not None
    return ctx.emit(ops.Reshape(x, _resolved(x, wanted)))


@converts("aten::flatten")
def flatten(ctx: ConversionContext, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    """aten::flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)."""
    rank = x.type.rank
    if rank == 0:
        return ctx.emit(ops.Unsqueeze(x, (0,)))
    start, end = ctx.axis(start_dim, rank), ctx.axis(end_dim, rank)
    if start > end:
        raise ConversionError(
            "flatten: start_dim comes after end_dim", got=f"{start_dim}, {end_dim}"
        )
    shape = x.type.shape
    return ctx.emit(
        ops.Reshape(x, (*shape[:start], product(shape[start : end + 1]), *shape[end + 1 :]))
    )


@converts("aten::unflatten")
def unflatten(ctx: ConversionContext, x: Value, dim: int, sizes: Sequence[Dim]) -> Value:
    """aten::unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)."""
    axis = ctx.axis(dim, x.type.rank)
    shape = x.type.shape
    parts = _with_inferred(shape[axis], sizes)
    return ctx.emit(ops.Reshape(x, (*shape[:axis], *parts, *shape[axis + 1 :])))


@converts("aten::transpose", "aten::transpose_", "aten::swapaxes")
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


@converts("aten::t", "aten::t_")
def t(ctx: ConversionContext, x: Value) -> Value:
    """aten::t(Tensor(a) self) -> Tensor(a). At most 2 axes."""
    if x.type.rank > 2:
        raise ConversionError("t: at most 2 axes", got=x.type)
    return ctx.emit(ops.Transpose(x, tuple(reversed(range(x.type.rank)))))


@converts("aten::permute")
def permute(ctx: ConversionContext, x: Value, dims: Sequence[int]) -> Value:
    """aten::permute(Tensor(a) self, int[] dims) -> Tensor(a)."""
    return ctx.emit(ops.Transpose(x, tuple(ctx.axis(dim, x.type.rank) for dim in dims)))


@converts("aten::expand", no_effect={"implicit": "says only where the call comes from"})
def expand(ctx: ConversionContext, x: Value, size: Sequence[Dim]) -> Value:
    """aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a). -1 keeps."""
    lead = len(size) - x.type.rank
    if lead < 0:
        raise ConversionError("expand: fewer sizes than axes", expected=x.type, got=list(size))
    shape = [
        x.type.shape[i - lead] if isinstance(dim, int) and dim == -1 and i >= lead else dim
        for i, dim in enumerate(size)
    ]
    if any(is_less(dim, 0) is True for dim in shape):
        raise ConversionError("expand: -1 for an axis that does not exist", got=list(size))
    return ctx.emit(ops.Expand(x, tuple(shape)))


@converts("aten::expand_as")
def expand_as(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::expand_as(Tensor(a) self, Tensor other) -> Tensor(a)."""
    return expand(ctx, x, other.type.shape)


@converts("aten::view_as", "aten::reshape_as")
def view_as(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::view_as(Tensor(a) self, Tensor other) -> Tensor(a)."""
    return reshape(ctx, x, other.type.shape)


@converts("aten::unsqueeze", "aten::unsqueeze_")
def unsqueeze(ctx: ConversionContext, x: Value, dim: int) -> Value:
    """aten::unsqueeze(Tensor(a) self, int dim) -> Tensor(a)."""
    return ctx.emit(ops.Unsqueeze(x, (ctx.axis(dim, x.type.rank + 1),)))


@converts("aten::squeeze", "aten::squeeze_")
def squeeze(ctx: ConversionContext, x: Value, dim: int | Sequence[int] | None = None) -> Value:
    """aten::squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a). Axes of another size stay."""
    rank = x.type.rank
    if dim is None:
        listed = range(rank)
    else:
        listed = [ctx.axis(d, rank) for d in ([dim] if isinstance(dim, int) else dim)]  # type: ignore[assignment]
    axes = []
    for axis in listed if rank else ():
        one = is_equal(x.type.shape[axis], 1)
        if one is None and dim is not None:
            raise ctx.unsupported("dim", f"size {x.type.shape[axis]} may be 1 or not")
        if one:
            axes.append(axis)
    return ctx.emit(ops.Squeeze(x, tuple(axes)))


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


@converts("aten::slice")
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


@converts("aten::narrow")
def narrow(ctx: ConversionContext, x: Value, dim: int, start: Dim, length: Dim) -> Value:
    """aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)."""
    axis = ctx.axis(dim, x.type.rank)
    return ctx.emit(ops.Slice(x, axis, spans.from_front(ctx, start, x.type.shape[axis]), length))


@converts("aten::select")
def select(ctx: ConversionContext, x: Value, dim: int, index: Dim) -> Value:
    """aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)."""
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
def select_scatter(ctx: ConversionContext, x: Value, src: Value, dim: int, index: Dim) -> Value:
    """aten::select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor."""
    span = spans.selected(ctx, x, dim, index)
    if src.type.rank != x.type.rank - 1:
        raise ConversionError(
            "select_scatter: src has one axis less than self", expected=x.type, got=src.type
        )
    return _scattered(ctx, x, ctx.emit(ops.Unsqueeze(src, (span.axis,)), "src"), span)


def _scattered(ctx: ConversionContext, x: Value, src: Value, span: spans.Span) -> Value:
    shape = x.type.shape
    wanted = (*shape[: span.axis], span.length, *shape[span.axis + 1 :])
    if len(wanted) != src.type.rank or not all(map(is_equal, wanted, src.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: src is not of the shape that it replaces",
            expected=x.type.with_shape(wanted),
            got=src.type,
        )
    return spans.put(ctx, x, ctx.cast(src, x.type.dtype), span)


@converts("aten::split", "aten::split_with_sizes")
def split(
    ctx: ConversionContext,
    x: Value,
    split_size: Dim | Sequence[Dim] | None = None,
    split_sizes: Sequence[Dim] | None = None,
    dim: int = 0,
) -> list[Value]:
    """aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]. Or sizes."""
    axis = ctx.axis(dim, x.type.rank)
    given = split_size if split_size is not None else split_sizes
    if isinstance(given, (list, tuple)):
        return _pieces(ctx, x, axis, list(given))
    assert isinstance(given, (int, DimExpr))
    total = ctx.static(x.type.shape[axis], "self")
    step = ctx.static(given, "split_size")
    if step < 1:
        raise ConversionError("split: split_size must be positive", got=step)
    sizes = [min(step, total - begin) for begin in range(0, total, step)]
    return _pieces(ctx, x, axis, list(sizes) or [0])


@converts("aten::chunk")
def chunk(ctx: ConversionContext, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    """aten::chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]."""
    axis = ctx.axis(dim, x.type.rank)
    size = x.type.shape[axis]
    if (even := divide_exactly(size, chunks)) is not None:
        return _pieces(ctx, x, axis, [even] * chunks)
    total = ctx.static(size, "self")
    return split(ctx, x, -(-total // chunks), dim=dim)


@converts(
    "aten::tensor_split",
    unsupported={"tensor_indices_or_sections": "the parts depend on a tensor"},
)
def tensor_split(
    ctx: ConversionContext,
    x: Value,
    sections: Dim | None = None,
    indices: Sequence[Dim] | None = None,
    dim: int = 0,
) -> list[Value]:
    """aten::tensor_split.sections(Tensor(a -> *) self, SymInt sections, int dim=0) -> Tensor(a)[]. Or indices."""
    axis = ctx.axis(dim, x.type.rank)
    size = x.type.shape[axis]
    if indices is not None:
        bounds = [0, *indices, size]
        parts = [spans.sliced(ctx, x, axis, *pair) for pair in itertools.pairwise(bounds)]
        return [ctx.emit(ops.Slice(x, axis, one.start, one.length)) for one in parts]
    assert sections is not None
    count = ctx.static(sections, "sections")
    if count < 1:
        raise ConversionError("tensor_split: sections must be positive", got=count)
    if (even := divide_exactly(size, count)) is not None:
        return _pieces(ctx, x, axis, [even] * count)
    least, longer = divmod(ctx.static(size, "self"), count)
    return _pieces(ctx, x, axis, [least + (i < longer) for i in range(count)])


@converts("aten::unbind")
def unbind(ctx: ConversionContext, x: Value, dim: int = 0) -> list[Value]:
    """aten::unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]."""
    axis = ctx.axis(dim, x.type.rank)
    total = ctx.static(x.type.shape[axis], "self")
    pieces = _pieces(ctx, x, axis, [1] * total)
    return [ctx.emit(ops.Squeeze(piece, (axis,))) for piece in pieces]


@converts("aten::constant_pad_nd")
def constant_pad_nd(
    ctx: ConversionContext, x: Value, pad: Sequence[Dim], value: float = 0
) -> Value:
    """aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor. Negative pads cut."""
    before, after = _pads(x, pad)
    number = float(value) if x.type.dtype.is_float else int(value)
    return ctx.emit(ops.Pad(x, before, after, "constant", number))


@converts("aten::pad")
def pad_(
    ctx: ConversionContext,
    x: Value,
    pad: Sequence[Dim],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    """aten::pad(Tensor self, SymInt[] pad, str mode="constant", float? value=None) -> Tensor.

    Modes constant, and reflect and replicate of the last 1, 2 or 3 axes.
    """
    if mode == "constant":
        return constant_pad_nd(ctx, x, pad, 0 if value is None else value)
    if value:
        raise ConversionError(f"pad: mode {mode!r} takes no value", got=value)
    before, after = _pads(x, pad)
    if len(pad) not in (2, 4, 6) or x.type.rank - len(pad) // 2 not in (1, 2):
        raise ConversionError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 axes, with 1 or 2 axes before them",
            expected="2, 4 or 6 sizes",
            got=f"{len(pad)} sizes for {x.type}",
        )
    if mode == "reflect":
        return ctx.emit(ops.Pad(x, before, after, "reflect"))
    if mode == "replicate":
        return ctx.emit(ops.Pad(x, before, after, "edge"))
    raise ctx.unsupported("mode", f"{mode!r} has no converter yet")


def _pads(x: Value, pad: Sequence[Dim]) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """Torch lists pairs from the last axis backwards."""
    rank = x.type.rank
    if len(pad) % 2 or len(pad) > 2 * rank:
        raise ConversionError(
            "pad: pairs of sizes, for at most all axes", expected=x.type, got=list(pad)
        )
    before, after = [0] * rank, [0] * rank
    listed: tuple[list[Dim], list[Dim]] = (list(before), list(after))
    for i in range(0, len(pad), 2):
        axis = rank - 1 - i // 2
        listed[0][axis], listed[1][axis] = pad[i], pad[i + 1]
    return tuple(listed[0]), tuple(listed[1])


def _pieces(ctx: ConversionContext, x: Value, axis: int, sizes: Sequence[Dim]) -> list[Value]:
    total: Dim = 0
    pieces = []
    for size in sizes:
        pieces.append(ctx.emit(ops.Slice(x, axis, total, size)))
        total = total + size
    if is_equal(total, x.type.shape[axis]) is not True:
        raise ConversionError(
            f"{ctx.operator}: sizes do not add up", expected=x.type.shape[axis], got=list(sizes)
        )
    return pieces


def _resolved(x: Value, shape: Sequence[Dim]) -> tuple[Dim, ...]:
    return _with_inferred(x.type.numel, shape)


def _with_inferred(total: Dim, shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape with -1 replaced by what is left of the elements."""
    unknown = [i for i, dim in enumerate(shape) if isinstance(dim, int) and dim == -1]
    if not unknown:
        return tuple(shape)
    if len(unknown) > 1:
        raise ConversionError("reshape: only one size can be -1", got=list(shape))
    rest = product(dim for i, dim in enumerate(shape) if i != unknown[0])
    size = divide_exactly(total, rest) if rest != 0 else None
    if size is None:
        raise ConversionError(
            "reshape: the elements do not fill the shape evenly",
            expected=f"a multiple of {rest}",
            got=f"{total} elements",
            hint="a size that the model fixed contradicts a dynamic dim: write it as x.shape[i] or -1"
            if isinstance(total, DimExpr)
            else None,
        )
    return tuple(size if i == unknown[0] else dim for i, dim in enumerate(shape))
