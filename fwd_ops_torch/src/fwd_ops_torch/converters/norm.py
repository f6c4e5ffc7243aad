"""Converters of norms, of distances, and of what is scaled by a norm.

Half precision is computed in float32. Norms made of singular values (nuclear, 2 and -2 of
matrices) have no converter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_core.ir.ops.reduction import Reduction
from fwd_ops_torch.converters._numerics import is_empty, widened, without
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.tensors import torch_dtype


@converts("aten::norm")
def norm(
    ctx: ConversionContext,
    x: Value,
    p: float | None = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType dtype) -> Tensor.

    Floats; p any number, infinite ones too.
    """
    return linalg_vector_norm(ctx, x, 2 if p is None else p, dim, keepdim, dtype)


@converts("aten::linalg_vector_norm")
def linalg_vector_norm(
    ctx: ConversionContext,
    x: Value,
    ord: float = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    Floats; ord any number, infinite ones too.
    """
    value = _typed(ctx, x, dtype)
    axes = ctx.axes(dim, x.type.rank)
    require_norm(ctx, x, float(ord), axes)
    result = vector_norm(ctx, widened(ctx, value), float(ord), axes)
    return ctx.cast(without(ctx, result, axes, keepdim), value.type.dtype)


def require_norm(ctx: ConversionContext, x: Value, ord: float, axes: Sequence[int]) -> None:
    """Refuse a norm of nothing that would be an extremum, or a power of it, as torch does."""
    if is_empty(x, axes) and (ord < 0 or ord == math.inf):
        raise ConversionError(f"{ctx.operator}: nothing has no norm of this order", got=ord)


@converts("aten::linalg_matrix_norm")
def linalg_matrix_norm(
    ctx: ConversionContext,
    x: Value,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::linalg_matrix_norm.str_ord(Tensor self, str ord="fro", int[] dim=[-2, -1], bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    Floats; ord "fro", 1, -1 and the infinities.
    """
    if x.type.rank < 2 or len(dim) != 2:
        raise ConversionError(f"{ctx.operator}: a matrix has 2 axes", got=f"{dim} of {x.type}")
    axes = ctx.axes(dim, x.type.rank)
    if ord == "fro":
        return linalg_vector_norm(ctx, x, 2, dim, keepdim, dtype)
    if ord in ("nuc", 2, -2):
        raise ctx.unsupported(
            "ord",
            f"{ord!r} is made of singular values, which backends lack",
            'take the norm "fro", or another that needs none, or compute it outside the model',
        )
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise ConversionError(f"{ctx.operator}: no such order of a matrix norm", got=ord)
    value = _typed(ctx, x, dtype)
    rows, columns = (ctx.axis(one, x.type.rank) for one in dim)
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    if is_empty(x, (kept,)) and ord < 0:
        raise ConversionError(f"{ctx.operator}: nothing has no norm of this order", got=ord)
    magnitude = ctx.emit(ops.Abs(widened(ctx, value)), "magnitude")
    sums = ctx.emit(ops.ReduceSum(magnitude, (summed,), keepdims=True), "sums")
    pick: type[Reduction] = ops.ReduceMax if ord > 0 else ops.ReduceMin
    if is_empty(x, (kept,)):
        pick = ops.ReduceSum  # of nothing it is 0, and so is this norm
    result = ctx.emit(pick(sums, (kept,), keepdims=True), "norm")
    return ctx.cast(without(ctx, result, axes, keepdim), value.type.dtype)


@converts("aten::linalg_norm")
def linalg_norm(
    ctx: ConversionContext,
    x: Value,
    ord: float | str | None = None,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Value:
    """aten::linalg_norm(Tensor self, Scalar? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor.

    Of vectors where one axis is given, of matrices where two are.
    """
    if ord is None:
        return linalg_vector_norm(ctx, x, 2, dim, keepdim, dtype)
    if dim is None and x.type.rank not in (1, 2):
        raise ConversionError("linalg_norm: with ord and no dim, 1 or 2 axes", got=x.type)
    listed = list(dim) if dim is not None else list(range(x.type.rank))
    if len(listed) == 1 and not isinstance(ord, str):
        return linalg_vector_norm(ctx, x, ord, listed, keepdim, dtype)
    return linalg_matrix_norm(ctx, x, ord, listed, keepdim, dtype)


@converts("aten::frobenius_norm")
def frobenius_norm(
    ctx: ConversionContext, x: Value, dim: Sequence[int], keepdim: bool = False
) -> Value:
    """aten::frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> Tensor. Floats."""
    if len(dim) > 2:
        raise ConversionError("frobenius_norm: at most 2 axes", got=list(dim))
    return linalg_vector_norm(ctx, x, 2, dim, keepdim)


@converts("aten::renorm", "aten::renorm_")
def renorm(ctx: ConversionContext, x: Value, p: float, dim: int, maxnorm: float) -> Value:
    """aten::renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor.

    Floats: slices along dim are scaled down to a norm of maxnorm at most.
    """
    if not x.type.dtype.is_float or x.type.rank < 2 or p <= 0 or maxnorm < 0:
        raise ConversionError(
            "renorm: not for this tensor or order",
            expected="floats of 2 axes or more, p above 0, maxnorm of 0 or more",
            got=f"{x.type}, p {p}, maxnorm {maxnorm}",
        )
    wide, axis = widened(ctx, x), ctx.axis(dim, x.type.rank)
    rest = tuple(other for other in range(x.type.rank) if other != axis)
    size = vector_norm(ctx, wide, float(p), rest)
    dtype = wide.type.dtype
    greatest = ctx.number(float(maxnorm), dtype, "maxnorm")
    safe = ctx.emit(ops.Add(size, ctx.number(1e-7, dtype)), "safe")
    over = ctx.emit(ops.Greater(size, greatest), "over")
    ratio = ctx.emit(ops.Div(greatest, safe), "ratio")
    factor = ctx.emit(ops.Where(over, ratio, ctx.number(1.0, dtype)), "factor")
    return ctx.cast(ctx.emit(ops.Mul(wide, factor), "renorm"), x.type.dtype)


@converts("aten::norm_except_dim")
def norm_except_dim(ctx: ConversionContext, v: Value, pow: int = 2, dim: int = 0) -> Value:
    """aten::norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor.

    The norm over all other axes; dim -1 means over all.
    """
    rank = v.type.rank
    if dim == -1:
        return linalg_vector_norm(ctx, v, pow)
    rest = [axis for axis in range(rank) if axis != ctx.axis(dim, rank)]
    value = widened(ctx, v)
    return ctx.cast(vector_norm(ctx, value, float(pow), tuple(rest)), v.type.dtype)


@converts("aten::_weight_norm")
def weight_norm(ctx: ConversionContext, v: Value, g: Value, dim: int = 0) -> Value:
    """aten::_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor (Salimans and Kingma, 2016)."""
    ratio = ctx.emit(ops.Div(g, norm_except_dim(ctx, v, 2, dim)), "ratio")
    return ctx.emit(ops.Mul(v, ratio), "weight")


@converts("aten::_weight_norm_interface")
def weight_norm_interface(
    ctx: ConversionContext, v: Value, g: Value, dim: int = 0
) -> tuple[Value, Value]:
    """aten::_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor).

    The weight and the norm, for the first or the last axis. Of half precision the norm is float32.
    """
    wide, axis = widened(ctx, v), ctx.axis(dim, v.type.rank)
    rest = tuple(other for other in range(v.type.rank) if other != axis)
    size = vector_norm(ctx, wide, 2.0, rest)
    ratio = ctx.emit(ops.Div(widened(ctx, g), size), "ratio")
    return ctx.cast(ctx.emit(ops.Mul(wide, ratio), "weight"), v.type.dtype), size


def vector_norm(ctx: ConversionContext, x: Value, p: float, axes: tuple[int, ...]) -> Value:
    """The p-norm of floats over axes, which keep size 1."""
    dtype = x.type.dtype
    if p == 0:
        nonzero = ctx.emit(ops.NotEqual(x, ctx.number(0.0, dtype)), "nonzero")
        ones = ctx.cast(nonzero, dtype)
        return ctx.emit(ops.ReduceSum(ones, axes, keepdims=True), "norm") if axes else ones
    if p == 2 and axes:
        total = ctx.emit(ops.ReduceSum(ctx.emit(ops.Mul(x, x)), axes, keepdims=True), "total")
        return ctx.emit(ops.Sqrt(total), "norm")
    magnitude = ctx.emit(ops.Abs(x), "magnitude")
    if not axes:
        return magnitude
    if math.isinf(p):
        pick: type[Reduction] = ops.ReduceMax if p > 0 else ops.ReduceMin
        if is_empty(x, axes):  # the greatest distance of no features is 0
            pick = ops.ReduceSum
        return ctx.emit(pick(magnitude, axes, keepdims=True), "norm")
    if p == 1:
        return ctx.emit(ops.ReduceSum(magnitude, axes, keepdims=True), "norm")
    powers = ctx.emit(ops.Pow(magnitude, ctx.number(p, dtype)), "powers")
    total = ctx.emit(ops.ReduceSum(powers, axes, keepdims=True), "total")
    return ctx.emit(ops.Pow(total, ctx.number(1 / p, dtype)), "norm")


def _typed(ctx: ConversionContext, x: Value, dtype: DType | None) -> Value:
    if not x.type.dtype.is_float or (dtype is not None and not dtype.is_float):
        raise ConversionError(f"{ctx.operator}: floats only", got=f"{x.type}, dtype {dtype}")
    if dtype is None:
        return x
    own, wanted = torch_dtype(x.type.dtype), torch_dtype(dtype)
    if torch.promote_types(own, wanted) is not wanted:
        raise ConversionError(f"{ctx.operator}: dtype is narrower", expected=own, got=wanted)
    return ctx.cast(x, dtype)
