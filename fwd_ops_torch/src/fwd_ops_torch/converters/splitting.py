"""Converters of operators that cut a tensor into several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, Value, is_equal, is_less, ops
from fwd_core.ir.dims import divide_exactly
from fwd_ops_torch.converting import ConversionContext, converts, spans

#: More parts than these of a dynamic size are not looked for.
_MOST_PARTS = 64
_MULTIPLE = (
    "declare the dynamic size as a multiple of the number of parts, as '2*batch', and split it into "
    "so many with chunk, or build that size static, with one engine for each"
)


@converts(
    "aten::split",
    "aten::split_copy",
    "aten::split_with_sizes",
    "aten::split_with_sizes_copy",
    "aten::unsafe_split",
    "aten::unsafe_split_with_sizes",
)
def split(
    ctx: ConversionContext,
    x: Value,
    split_size: Dim | Sequence[Dim] | None = None,
    split_sizes: Sequence[Dim] | None = None,
    dim: int = 0,
) -> list[Value]:
    """aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]. Or sizes."""
    axis = ctx.axis_to_cut(dim, x.type.rank, "split")
    given = split_size if split_size is not None else split_sizes
    if isinstance(given, (list, tuple)):
        return _pieces(ctx, x, axis, list(given))
    assert isinstance(given, (int, DimExpr))
    total, step = x.type.shape[axis], given
    if is_less(step, 1) is True:
        raise ConversionError("split: split_size must be positive", got=step)
    if total == 0:
        return _pieces(ctx, x, axis, [0])
    return _pieces(ctx, x, axis, _steps(ctx, total, step))


@converts("aten::chunk", "aten::unsafe_chunk")
def chunk(ctx: ConversionContext, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    """aten::chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]."""
    axis = ctx.axis_to_cut(dim, x.type.rank, "split")
    if chunks < 1:
        raise ConversionError(
            f"{ctx.operator}: chunks must be positive", expected="1 or more", got=chunks
        )
    size = x.type.shape[axis]
    if (even := divide_exactly(size, chunks)) is not None:
        return _pieces(ctx, x, axis, [even] * chunks)
    return split(ctx, x, -(-size // chunks) if size != 0 else 1, dim=dim)


@converts("aten::tensor_split")
def tensor_split(
    ctx: ConversionContext,
    x: Value,
    sections: Dim | None = None,
    indices: Sequence[Dim] | None = None,
    dim: int = 0,
    tensor_indices_or_sections: Value | None = None,
) -> list[Value]:
    """aten::tensor_split.sections(Tensor(a -> *) self, SymInt sections, int dim=0) -> Tensor(a)[]. Or indices.

    A tensor that says either has to be constant: the sizes of the parts depend on it.
    """
    axis = ctx.axis_to_cut(dim, x.type.rank, "split")
    if tensor_indices_or_sections is not None:
        known = tensor_indices_or_sections.constant
        if known is None:
            raise ctx.unsupported(
                "tensor_indices_or_sections",
                "the sizes of the parts depend on data",
                "split at numbers, or at sizes of other tensors",
            )
        if known.data.ndim:
            indices = [int(index) for index in known.data]
        else:
            sections = int(known.data)
    if indices is not None:
        return _cut_at(ctx, x, axis, indices)
    assert sections is not None
    count = ctx.static(sections, "sections")
    if count < 1:
        raise ConversionError(f"{ctx.operator}: sections must be positive", got=count)
    size = x.type.shape[axis]
    if (even := divide_exactly(size, count)) is not None:
        return _pieces(ctx, x, axis, [even] * count)
    # The parts differ by 1 at most, the longer ones first.
    sizes: list[Dim] = [(size + count - 1 - i) // count for i in range(count - 1)]
    rest = size - sum(sizes, start=size - size)
    return _pieces(ctx, x, axis, [*sizes, rest])


@converts("aten::hsplit")
def hsplit(
    ctx: ConversionContext,
    x: Value,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> list[Value]:
    """aten::hsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]. The second axis, or the only one."""
    return _evenly(ctx, x, 1, 0 if x.type.rank == 1 else 1, sections, indices)


@converts("aten::vsplit")
def vsplit(
    ctx: ConversionContext,
    x: Value,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> list[Value]:
    """aten::vsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]. The first of 2 axes or more."""
    return _evenly(ctx, x, 2, 0, sections, indices)


@converts("aten::dsplit")
def dsplit(
    ctx: ConversionContext,
    x: Value,
    sections: int | None = None,
    indices: Sequence[int] | None = None,
) -> list[Value]:
    """aten::dsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]. The third of 3 axes or more."""
    return _evenly(ctx, x, 3, 2, sections, indices)


@converts("aten::unbind", "aten::unbind_copy")
def unbind(ctx: ConversionContext, x: Value, dim: int = 0) -> list[Value]:
    """aten::unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]."""
    axis = ctx.axis_to_cut(dim, x.type.rank, "split")
    total = ctx.static(x.type.shape[axis], "self")
    pieces = _pieces(ctx, x, axis, [1] * total)
    return [ctx.emit(ops.Squeeze(piece, (axis,))) for piece in pieces]


def _steps(ctx: ConversionContext, total: Dim, step: Dim) -> list[Dim]:
    """Sizes of parts of ``step`` elements, the last of which may have fewer.

    Raises:
        UnsupportedArgumentError: How many parts there are depends on a dynamic size.
    """
    if isinstance(total, int) and isinstance(step, int):
        return [min(step, total - begin) for begin in range(0, total, step)]
    for count in range(1, _MOST_PARTS + 1):
        before = (count - 1) * step
        if is_less(before, total) is not True:
            break
        if is_less(before + step, total) is False:
            return [*[step] * (count - 1), total - before]
    raise ctx.unsupported(
        "self",
        f"how many parts of {step} there are depends on dynamic size {total}",
        _MULTIPLE,
    )


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


def _cut_at(ctx: ConversionContext, x: Value, axis: int, indices: Sequence[Dim]) -> list[Value]:
    bounds = [0, *indices, x.type.shape[axis]]
    parts = [spans.sliced(ctx, x, axis, *pair) for pair in itertools.pairwise(bounds)]
    return [ctx.emit(ops.Slice(x, axis, one.start, one.length)) for one in parts]


def _evenly(
    ctx: ConversionContext,
    x: Value,
    least: int,
    axis: int,
    sections: int | None,
    indices: Sequence[int] | None,
) -> list[Value]:
    if x.type.rank < least:
        raise ConversionError(f"{ctx.operator}: {least} axes or more", got=x.type)
    if indices is not None:
        return _cut_at(ctx, x, axis, list(indices))
    assert sections is not None
    size = x.type.shape[axis]
    even = divide_exactly(size, sections) if sections > 0 else None
    if even is None:
        raise ConversionError(
            f"{ctx.operator}: the axis does not divide evenly",
            expected=size,
            got=sections,
            hint=_MULTIPLE if isinstance(size, DimExpr) else None,
        )
    return _pieces(ctx, x, axis, [even] * sections)
