"""Arithmetic that converters share: float16 is summed in float32, and sizes count as numbers."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converting import ConversionContext, Operand


def widened(ctx: ConversionContext, x: Value) -> Value:
    """The value in float32 if it has a smaller float dtype: torch's kernels compute in that."""
    return ctx.cast(x, DType.FLOAT32) if x.type.dtype.itemsize < 4 else x


def count(ctx: ConversionContext, dims: Sequence[Dim], dtype: DType) -> Value:
    """The number of elements of some axes, as a 0-d tensor."""
    return ctx.number(product(dims), dtype, "count")


def require_divisor(ctx: ConversionContext, a: Value, b: Value, given: Operand) -> None:
    """Refuse integers by a known zero, at which torch raises and a processor may stop.

    Args:
        ctx: Says which operator.
        a: What is divided.
        b: What divides it, of the same dtype.
        given: The same as the model gave it, before any promotion.

    Raises:
        ConversionError: There is a zero, and an element that it divides.
    """
    if a.type.dtype.is_float:
        return
    known = b.constant
    if known is None and isinstance(given, Value):
        known = given.constant
    if known is None or known.data.all() or 0 in ctx.broadcast_shape([a, b]):
        return
    raise ConversionError(
        f"{ctx.operator}: integers do not divide by zero",
        expected="a divisor other than 0, or floats",
        got=f"0 for {a.type}",
    )


def is_nan(ctx: ConversionContext, x: Value) -> Value:
    """Where elements of a float tensor are NaN."""
    return ctx.emit(ops.NotEqual(x, x), "nan")


def places(ctx: ConversionContext, x: Value, axis: int) -> Value:
    """The int64 places along an axis, with axes of size 1 behind so that they broadcast with x."""
    counted = ctx.emit(ops.Arange(x.type.shape[axis]), "arange")
    return ctx.emit(ops.Unsqueeze(counted, tuple(range(1, x.type.rank - axis))), "places")


def without(ctx: ConversionContext, x: Value, axes: Sequence[int], keepdim: bool) -> Value:
    """The value without these axes of size 1, or with them."""
    return x if keepdim or not axes else ctx.emit(ops.Squeeze(x, tuple(axes)))


def flat(ctx: ConversionContext, x: Value) -> Value:
    """All elements along one axis."""
    return x if x.type.rank == 1 else ctx.emit(ops.Reshape(x, (x.type.numel,)), "flat")


def is_empty(x: Value, axes: Sequence[int]) -> bool:
    """Whether there is certainly nothing along some axes."""
    return any(x.type.shape[axis] == 0 for axis in axes)


def polynomial(ctx: ConversionContext, x: Value, terms: Sequence[float]) -> Value:
    """The sum of terms[k] times x to the power k, by Horner's rule."""
    total = ctx.number(terms[-1], x.type.dtype, "term")
    for term in reversed(terms[:-1]):
        scaled = ctx.emit(ops.Mul(total, x), "scaled")
        total = ctx.emit(ops.Add(scaled, ctx.number(term, x.type.dtype, "term")), "polynomial")
    return total
