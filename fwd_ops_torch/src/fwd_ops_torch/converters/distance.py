"""Converters of distances between tensors. Half precision is computed in float32."""

from __future__ import annotations

import numpy as np

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, is_equal, is_less, ops
from fwd_ops_torch.converters._factories import refuse_half, require_float
from fwd_ops_torch.converters._numerics import widened, without
from fwd_ops_torch.converters.norm import require_norm, vector_norm
from fwd_ops_torch.converting import ConversionContext, converts

#: From more rows than this on, torch computes Euclidean distances with a matrix product.
_FEW = 25


@converts("aten::dist")
def dist(ctx: ConversionContext, x: Value, other: Value, p: float = 2) -> Value:
    """aten::dist(Tensor self, Tensor other, Scalar p=2) -> Tensor. Floats."""
    a, b = _floats(ctx, x, other)
    difference = ctx.emit(ops.Sub(widened(ctx, a), widened(ctx, b)), "difference")
    axes = tuple(range(difference.type.rank))
    require_norm(ctx, difference, float(p), axes)
    size = vector_norm(ctx, difference, float(p), axes)
    return ctx.cast(without(ctx, size, axes, False), a.type.dtype)


@converts("aten::pairwise_distance")
def pairwise_distance(
    ctx: ConversionContext,
    x1: Value,
    x2: Value,
    p: float = 2.0,
    eps: float = 1e-6,
    keepdim: bool = False,
) -> Value:
    """aten::pairwise_distance(Tensor x1, Tensor x2, float p=2., float eps=1e-06, bool keepdim=False) -> Tensor.

    The norm of x1 - x2 + eps over the last axis.
    """
    a, b = _floats(ctx, x1, x2)
    difference = ctx.emit(ops.Sub(widened(ctx, a), widened(ctx, b)), "difference")
    shifted = ctx.emit(ops.Add(difference, ctx.number(eps, difference.type.dtype, "eps")))
    axes = (shifted.type.rank - 1,) if shifted.type.rank else ()
    size = vector_norm(ctx, shifted, float(p), axes)
    return ctx.cast(without(ctx, size, axes, keepdim), a.type.dtype)


@converts("aten::cosine_similarity")
def cosine_similarity(
    ctx: ConversionContext, x1: Value, x2: Value, dim: int = 1, eps: float = 1e-8
) -> Value:
    """aten::cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor.

    Floats, broadcast; norms are eps at least.
    """
    shape = ctx.broadcast_shape([x1, x2])
    a, b = _floats(ctx, *(ctx.emit(ops.Expand(one, shape), "full") for one in (x1, x2)))
    axis = ctx.axis(dim, len(shape))
    axes = (axis,) if shape else ()
    units = []
    for value in (a, b):
        full = widened(ctx, value)
        size = vector_norm(ctx, full, 2.0, axes)
        least = ctx.number(eps, full.type.dtype, "eps")
        units.append(ctx.emit(ops.Div(full, ctx.emit(ops.Maximum(size, least), "size")), "unit"))
    product = ctx.emit(ops.Mul(*units), "product")
    total = ctx.emit(ops.ReduceSum(product, axes), "cosine") if axes else product
    return ctx.cast(total, a.type.dtype)


@converts("aten::cdist", "aten::_cdist_forward")
def cdist(
    ctx: ConversionContext, x1: Value, x2: Value, p: float = 2.0, compute_mode: int | None = None
) -> Value:
    """aten::cdist(Tensor x1, Tensor x2, float p=2., int? compute_mode=None) -> Tensor.

    [..., P, M] and [..., R, M] give [..., P, R]. Euclidean distances of more than 25 rows are
    computed with a matrix product, as torch does, unless compute_mode is 2.
    """
    a, b = _floats(ctx, x1, x2)
    if a.type.rank < 2 or b.type.rank < 2 or p < 0:
        raise ConversionError(
            "cdist: expected rows of vectors and p of 0 or more", got=f"{x1.type}, {x2.type}, {p}"
        )
    if not is_equal(a.type.shape[-1], b.type.shape[-1]):
        raise ConversionError("cdist: vectors of two lengths", got=f"{x1.type}, {x2.type}")
    first, second = widened(ctx, a), widened(ctx, b)
    many = any(is_less(_FEW, rows) is not False for rows in (a.type.shape[-2], b.type.shape[-2]))
    if p == 2 and (compute_mode == 1 or (compute_mode in (None, 0) and many)):
        return ctx.cast(_by_product(ctx, first, second), a.type.dtype)
    left = ctx.emit(ops.Unsqueeze(first, (first.type.rank - 1,)), "left")
    right = ctx.emit(ops.Unsqueeze(second, (second.type.rank - 2,)), "right")
    difference = ctx.emit(ops.Sub(left, right), "difference")
    axes = (difference.type.rank - 1,)
    size = vector_norm(ctx, difference, float(p), axes)
    return ctx.cast(without(ctx, size, axes, False), a.type.dtype)


@converts("aten::pdist", "aten::_pdist_forward")
def pdist(ctx: ConversionContext, x: Value, p: float = 2.0) -> Value:
    """aten::pdist(Tensor self, float p=2) -> Tensor. Of every row of [N, M] and each after it.

    float32 or float64; the number of rows is fixed, as the size of the result is none of its
    simple functions.
    """
    if x.type.rank != 2 or p < 0:
        raise ConversionError(
            f"{ctx.operator}: expected 2 axes and p of 0 or more", got=f"{x.type}, {p}"
        )
    require_float(ctx, x)
    refuse_half(ctx, x)
    rows = ctx.static(x.type.shape[0], "self")
    first, second = np.triu_indices(rows, 1)
    if not first.size or x.type.shape[1] == 0:
        zero = ctx.number(0.0, x.type.dtype, "zero")
        return ctx.emit(ops.Expand(zero, (first.size,)))
    left, right = (
        ctx.emit(ops.Gather(x, ctx.constant(places, DType.INT64, "places"), 0), "rows")
        for places in (first, second)
    )
    size = vector_norm(ctx, ctx.emit(ops.Sub(left, right), "difference"), float(p), (1,))
    return without(ctx, size, (1,), False)


def _by_product(ctx: ConversionContext, a: Value, b: Value) -> Value:
    """The root of |a|^2 + |b|^2 - 2 a b, which is not below 0."""
    dtype = a.type.dtype

    def squares(value: Value) -> Value:
        squared = ctx.emit(ops.Mul(value, value), "squared")
        return ctx.emit(ops.ReduceSum(squared, (value.type.rank - 1,), keepdims=True), "squares")

    product = ctx.emit(ops.MatMul(a, b, transpose_b=True), "product")
    row = squares(b)
    order = (*range(row.type.rank - 2), row.type.rank - 1, row.type.rank - 2)
    both = ctx.emit(ops.Add(squares(a), ctx.emit(ops.Transpose(row, order), "row")), "both")
    twice = ctx.emit(ops.Mul(product, ctx.number(2.0, dtype)), "twice")
    distance = ctx.emit(ops.Clamp(ctx.emit(ops.Sub(both, twice)), 0.0, None), "distance")
    return ctx.emit(ops.Sqrt(distance), "cdist")


def _floats(ctx: ConversionContext, x: Value, other: Value) -> list[Value]:
    a, b = ctx.promote(x, other)
    if not a.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=f"{x.type}, {other.type}")
    return [a, b]
