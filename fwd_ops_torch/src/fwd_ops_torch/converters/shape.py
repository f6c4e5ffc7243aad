"""Converters of operators that move, repeat, cut or pad elements."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from fwd_core.errors import ConversionError, ForwardWarning
from fwd_core.ir import Dim, DimExpr, Value, is_equal, is_less, ops
from fwd_core.ir.dim_hints import LITERAL
from fwd_core.ir.dims import divide_exactly, product, symbols
from fwd_ops_torch.converting import ConversionContext, converts


@converts(
    "aten::view",
    "aten::view_copy",
    "aten::reshape",
    "aten::_unsafe_view",
    "aten::_reshape_alias",
    "aten::_reshape_copy",
    unsupported={"dtype": "it reads the bits of elements as another dtype"},
    no_effect={"stride": "follows from the shape"},
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
    made = _resolved(x, wanted)
    _tell_of_fixed_batch(ctx, wanted, made)
    return ctx.emit(ops.Reshape(x, made))


def _tell_of_fixed_batch(
    ctx: ConversionContext, wanted: Sequence[Dim], made: tuple[Dim, ...]
) -> None:
    """Warn where a size that was the example's may have pushed a dynamic one into the -1."""
    if -1 not in wanted:
        return
    place = list(wanted).index(-1)
    known = {one.opt: one.name for one in symbols(made[place])}
    fixed = [dim for dim in wanted[:place] if isinstance(dim, int) and dim > 1 and dim in known]
    if fixed:
        warnings.warn(
            f"{ctx.operator} (at {ctx.location}) to {list(wanted)} makes its -1 {made[place]}, beside "
            f"a {fixed[0]}, which is also the example's {known[fixed[0]]}. If the model computes that "
            f"{fixed[0]} from a shape by int() or round(), a trace has fixed it, and engines mix "
            "the elements of one batch: write it as x.shape[i], or with //",
            ForwardWarning,
            stacklevel=2,
        )


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


@converts("aten::ravel")
def ravel(ctx: ConversionContext, x: Value) -> Value:
    """aten::ravel(Tensor(a) self) -> Tensor(a). All elements in a row."""
    return ctx.emit(ops.Reshape(x, (x.type.numel,)))


@converts("aten::unflatten")
def unflatten(ctx: ConversionContext, x: Value, dim: int, sizes: Sequence[Dim]) -> Value:
    """aten::unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)."""
    axis = ctx.axis_to_cut(dim, x.type.rank, "unflatten")
    shape = x.type.shape
    parts = _with_inferred(shape[axis], sizes)
    return ctx.emit(ops.Reshape(x, (*shape[:axis], *parts, *shape[axis + 1 :])))


@converts(
    "aten::expand",
    "aten::expand_copy",
    "aten::broadcast_to",
    no_effect={"implicit": "says only where the call comes from"},
)
def expand(ctx: ConversionContext, x: Value, size: Sequence[Dim]) -> Value:
    """aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a). -1 keeps."""
    lead = len(size) - x.type.rank
    if lead < 0:
        raise ConversionError(
            f"{ctx.operator}: fewer sizes than axes", expected=x.type, got=list(size)
        )
    shape = [
        x.type.shape[i - lead] if isinstance(dim, int) and dim == -1 and i >= lead else dim
        for i, dim in enumerate(size)
    ]
    if any(is_less(dim, 0) is True for dim in shape):
        raise ConversionError(f"{ctx.operator}: -1 for an axis that does not exist", got=list(size))
    return ctx.emit(ops.Expand(x, tuple(shape)))


@converts("aten::expand_as")
def expand_as(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::expand_as(Tensor(a) self, Tensor other) -> Tensor(a)."""
    return expand(ctx, x, other.type.shape)


@converts("aten::broadcast_tensors")
def broadcast_tensors(ctx: ConversionContext, tensors: Sequence[Value]) -> list[Value]:
    """aten::broadcast_tensors(Tensor[] tensors) -> Tensor[]. Each keeps its dtype."""
    shape = ctx.broadcast_shape(tensors)
    return [ctx.emit(ops.Expand(value, shape)) for value in tensors]


@converts("aten::view_as", "aten::reshape_as")
def view_as(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::view_as(Tensor(a) self, Tensor other) -> Tensor(a)."""
    return reshape(ctx, x, other.type.shape)


@converts("aten::unsqueeze", "aten::unsqueeze_", "aten::unsqueeze_copy")
def unsqueeze(ctx: ConversionContext, x: Value, dim: int) -> Value:
    """aten::unsqueeze(Tensor(a) self, int dim) -> Tensor(a)."""
    return ctx.emit(ops.Unsqueeze(x, (ctx.axis(dim, x.type.rank + 1),)))


@converts("aten::squeeze", "aten::squeeze_", "aten::squeeze_copy")
def squeeze(ctx: ConversionContext, x: Value, dim: int | Sequence[int] | None = None) -> Value:
    """aten::squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a). Axes of another size stay.

    Without dim, axes of a dynamic size stay, with a warning where it may be 1.
    """
    rank = x.type.rank
    if dim is None:
        listed = range(rank)
    else:
        listed = [ctx.axis(d, rank) for d in ([dim] if isinstance(dim, int) else dim)]  # type: ignore[assignment]
    axes = []
    for axis in listed if rank else ():
        size = x.type.shape[axis]
        one = is_equal(size, 1)
        if one is None and dim is not None:
            raise ctx.unsupported(
                "dim",
                f"size {size} may be 1 or not",
                "let the least value of its range be 2, or build that size static",
            )
        if one is None:
            warnings.warn(
                f"{ctx.operator} without dim (at {ctx.location}) keeps axis {axis}: its size "
                f"{size} may be 1, and PyTorch would drop it then. Name the axes to drop, as "
                "x.squeeze(dim)",
                ForwardWarning,
                stacklevel=2,
            )
        if one:
            axes.append(axis)
    return ctx.emit(ops.Squeeze(x, tuple(axes)))


def _at_least(rank: int) -> Callable[..., Value | list[Value]]:
    """A converter of ``aten::atleast_<rank>d``."""

    @converts(f"aten::atleast_{rank}d")
    def convert(ctx: ConversionContext, x: Value | Sequence[Value]) -> Value | list[Value]:
        if isinstance(x, Value):
            return at_least(ctx, x, rank)
        return [at_least(ctx, value, rank) for value in x]

    convert.__name__ = convert.__qualname__ = f"atleast_{rank}d"
    convert.__doc__ = f"aten::atleast_{rank}d(Tensor self) -> Tensor. Or several tensors."
    return convert


def at_least(ctx: ConversionContext, x: Value, rank: int) -> Value:
    """Axes of size 1 added up to 1, 2 or 3: a vector becomes a row, a matrix gets a third axis."""
    missing = rank - x.type.rank
    if missing <= 0:
        return x
    axes = {0: range(rank), 1: (0, 2)[:missing], 2: (2,)}[x.type.rank]
    return ctx.emit(ops.Unsqueeze(x, tuple(axes)))


atleast_1d = _at_least(1)
atleast_2d = _at_least(2)
atleast_3d = _at_least(3)


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
            hint=LITERAL if isinstance(total, DimExpr) else None,
        )
    return tuple(size if i == unknown[0] else dim for i, dim in enumerate(shape))
