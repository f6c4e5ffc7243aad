"""Checks that ``infer()`` methods share. Each raises :class:`GraphError` with what was there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.dim_hints import contradiction
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.types import Shape

FLOATS = frozenset(dtype for dtype in DType if dtype.is_float)
NUMBERS = frozenset(dtype for dtype in DType if dtype is not DType.BOOL)
INTEGERS = frozenset(dtype for dtype in DType if dtype.is_integer)
INDICES = frozenset({DType.INT32, DType.INT64})
BOOL = frozenset({DType.BOOL})


def require_dtype(what: str, value: Value, allowed: frozenset[DType]) -> None:
    """The value's element type is one of some."""
    if value.type.dtype not in allowed:
        expected = ", ".join(sorted(str(dtype) for dtype in allowed))
        raise GraphError(f"{what}: element type not taken", expected=expected, got=value.type)


def require_same_dtype(what: str, *values: Value | None) -> DType:
    """All values present have one element type, which is returned."""
    present = [value for value in values if value is not None]
    found = {value.type.dtype for value in present}
    if len(found) != 1:
        listed = ", ".join(str(value.type) for value in present)
        raise GraphError(
            f"{what}: operands need one element type",
            got=listed,
            hint="insert Cast: operators of a graph promote nothing",
        )
    return found.pop()


def require_rank(what: str, value: Value, ranks: int | range | Iterable[int]) -> None:
    """The value has one of some ranks."""
    allowed = [ranks] if isinstance(ranks, int) else list(ranks)
    if value.type.rank not in allowed:
        expected = " or ".join(str(rank) for rank in allowed)
        raise GraphError(f"{what}: wrong rank", expected=f"rank {expected}", got=value.type)


def require_equal(what: str, a: Dim, b: Dim) -> None:
    """Two sizes are certainly equal."""
    if dim_facts.is_equal(a, b) is not True:
        certain = isinstance(a, int) and isinstance(b, int)
        differ = "sizes differ" if certain else "sizes differ, or may"
        hint = contradiction(a, b)
        raise GraphError(f"{what}: {differ}", expected=a, got=b, hint=hint)


def require_axis(what: str, axis: int, rank: int) -> None:
    """An axis counts from the front: the IR knows no negative axes."""
    if not 0 <= axis < rank:
        raise GraphError(f"{what}: no such axis", expected=f"0 <= axis < {rank}", got=axis)


def require_axes(what: str, axes: Sequence[int], rank: int) -> None:
    """Axes count from the front and none repeats."""
    for axis in axes:
        require_axis(what, axis, rank)
    if len(set(axes)) != len(axes):
        raise GraphError(f"{what}: an axis repeats", got=list(axes))


def require_sizes(what: str, *dims: Dim) -> None:
    """No size is certainly negative."""
    if any(dim_facts.is_less(dim, 0) is True for dim in dims):
        raise GraphError(f"{what}: a size is negative", got=", ".join(map(str, dims)))


def require_positive(what: str, *numbers: int) -> None:
    """All numbers are 1 or more, as strides and dilations must be."""
    if any(number < 1 for number in numbers):
        raise GraphError(f"{what}: 1 or more", got=", ".join(map(str, numbers)))


def broadcast(what: str, *values: Value) -> Shape:
    """The shape that all values broadcast to."""
    return broadcast_shapes(what, *(value.type.shape for value in values))


def broadcast_shapes(what: str, *shapes: Sequence[Dim]) -> Shape:
    """The shape that shapes broadcast to."""
    try:
        return dim_facts.broadcast(*shapes)
    except dim_facts.BroadcastError as error:
        raise GraphError(f"{what}: {error}", hint=contradiction(*error.pair)) from None
