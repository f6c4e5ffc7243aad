"""Converters of variances and covariances. Half precision is computed in float32."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converters._numerics import count, widened, without
from fwd_ops_torch.converters.diagonals import diagonal
from fwd_ops_torch.converters.shape import squeeze
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.context import default_float


@converts("aten::var")
def var(
    ctx: ConversionContext,
    x: Value,
    unbiased: bool | None = None,
    dim: Sequence[int] | None = None,
    correction: float | None = None,
    keepdim: bool = False,
) -> Value:
    """aten::var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor.

    Floats. The divisor is the count less the correction, which is 1 by default.
    """
    return _moments(ctx, x, dim, _correction(unbiased, correction), keepdim)[0]


@converts("aten::std")
def std(
    ctx: ConversionContext,
    x: Value,
    unbiased: bool | None = None,
    dim: Sequence[int] | None = None,
    correction: float | None = None,
    keepdim: bool = False,
) -> Value:
    """aten::std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor."""
    return _moments(ctx, x, dim, _correction(unbiased, correction), keepdim, root=True)[0]


@converts("aten::var_mean")
def var_mean(
    ctx: ConversionContext,
    x: Value,
    unbiased: bool | None = None,
    dim: Sequence[int] | None = None,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Value, Value]:
    """aten::var_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)."""
    return _moments(ctx, x, dim, _correction(unbiased, correction), keepdim)


@converts("aten::std_mean")
def std_mean(
    ctx: ConversionContext,
    x: Value,
    unbiased: bool | None = None,
    dim: Sequence[int] | None = None,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Value, Value]:
    """aten::std_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)."""
    return _moments(ctx, x, dim, _correction(unbiased, correction), keepdim, root=True)


@converts("aten::cov")
def cov(
    ctx: ConversionContext,
    x: Value,
    correction: int = 1,
    fweights: Value | None = None,
    aweights: Value | None = None,
) -> Value:
    """aten::cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor.

    Of the rows of a matrix, or of one vector; not bool. Integers give float. That weights are not
    negative, and not all 0, is not checked.
    """
    dtype = x.type.dtype if x.type.dtype.is_float else default_float()
    return ctx.cast(_covariance(ctx, x, correction, fweights, aweights), dtype)


@converts("aten::corrcoef")
def corrcoef(ctx: ConversionContext, x: Value) -> Value:
    """aten::corrcoef(Tensor self) -> Tensor. Of what cov takes: covariances by their deviations."""
    dtype = x.type.dtype if x.type.dtype.is_float else default_float()
    found = _covariance(ctx, x, 1, None, None)
    if found.type.rank == 0:
        return ctx.cast(ctx.emit(ops.Div(found, found)), dtype)
    deviation = ctx.emit(ops.Sqrt(diagonal(ctx, found)), "deviation")
    for axis in (1, 0):
        column = ctx.emit(ops.Unsqueeze(deviation, (axis,)), "column")
        found = ctx.emit(ops.Div(found, column), "scaled")
    # One bound at a time: with both at once OpenVINO loses the NaN of one observation.
    least = ctx.emit(ops.Clamp(found, -1.0, None), "least")
    return ctx.cast(ctx.emit(ops.Clamp(least, None, 1.0)), dtype)


def centered(ctx: ConversionContext, x: Value, axes: Sequence[int]) -> tuple[Value, Value]:
    """The mean over axes, which keep size 1, and what the elements differ from it."""
    mean = ctx.emit(ops.ReduceMean(x, tuple(axes), keepdims=True), "mean") if axes else x
    return mean, ctx.emit(ops.Sub(x, mean), "centered")


def _correction(unbiased: bool | None, correction: float | None) -> float:
    if unbiased is not None:
        return int(unbiased)
    return 1 if correction is None else correction


def _covariance(
    ctx: ConversionContext,
    x: Value,
    correction: int,
    fweights: Value | None,
    aweights: Value | None,
) -> Value:
    """The covariance in float32 at least: a square matrix, or a number for one row."""
    if x.type.rank > 2 or x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: numbers, and two axes or fewer", got=x.type)
    wide = widened(ctx, ctx.to_float(x))
    rows = wide if x.type.rank == 2 else ctx.emit(ops.Reshape(wide, (1, x.type.numel)), "row")
    seen, dtype = rows.type.shape[1], rows.type.dtype
    weights = _weights(ctx, fweights, aweights, seen, dtype)
    least, total = ctx.number(0.0, dtype, "least"), ctx.number(seen, dtype, "count")
    weighted = rows
    if weights is not None:
        weighted = ctx.emit(ops.Mul(rows, weights), "weighted")
        total = ctx.emit(ops.ReduceSum(weights, (0,)), "total")
    mean = ctx.emit(ops.Div(ctx.emit(ops.ReduceSum(weighted, (1,), keepdims=True)), total), "mean")
    less = ctx.number(float(correction), dtype, "correction")
    if weights is not None and aweights is not None and correction:
        squares = ctx.emit(ops.Mul(weights, ctx.cast(aweights, dtype)), "squares")
        part = ctx.emit(ops.Div(ctx.emit(ops.ReduceSum(squares, (0,))), total), "part")
        less = ctx.emit(ops.Mul(less, part), "less")
    divisor = ctx.emit(ops.Maximum(ctx.emit(ops.Sub(total, less)), least), "divisor")
    rest = ctx.emit(ops.Sub(rows, mean), "centered")
    other = rest if weights is None else ctx.emit(ops.Mul(rest, weights), "other")
    found = ctx.emit(ops.Div(ctx.emit(ops.MatMul(rest, other, transpose_b=True)), divisor), "cov")
    return squeeze(ctx, found)


def _weights(
    ctx: ConversionContext,
    fweights: Value | None,
    aweights: Value | None,
    count: Dim,
    dtype: DType,
) -> Value | None:
    """The product of both weights of observations, of those that there are."""
    for name, one, is_float in (("fweights", fweights, False), ("aweights", aweights, True)):
        if one is None:
            continue
        kind = one.type.dtype
        if one.type.rank > 1 or not (kind.is_float if is_float else kind.is_integer):
            raise ConversionError(
                f"cov: {name} are {'floats' if is_float else 'integers'} along one axis",
                got=one.type,
            )
        ctx.require_equal(f"observations and {name}", count, one.type.numel)
    given = [
        ctx.emit(ops.Reshape(ctx.cast(one, dtype), (count,)), "weights")
        for one in (fweights, aweights)
        if one is not None
    ]
    if len(given) == 2:
        return ctx.emit(ops.Mul(*given), "weights")
    return given[0] if given else None


def _moments(
    ctx: ConversionContext,
    x: Value,
    dim: Sequence[int] | None,
    correction: float,
    keepdim: bool,
    *,
    root: bool = False,
) -> tuple[Value, Value]:
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)
    axes = ctx.axes(dim, x.type.rank)
    wide = widened(ctx, x)
    mean, rest = centered(ctx, wide, axes)
    total = ctx.emit(ops.Mul(rest, rest), "squares")
    if axes:
        total = ctx.emit(ops.ReduceSum(total, axes, keepdims=True), "total")
    variance = ctx.emit(ops.Div(total, _divisor(ctx, wide, axes, correction)), "variance")
    spread = ctx.emit(ops.Sqrt(variance), "deviation") if root else variance
    first, second = (without(ctx, part, axes, keepdim) for part in (spread, mean))
    return ctx.cast(first, x.type.dtype), ctx.cast(second, x.type.dtype)


def _divisor(ctx: ConversionContext, x: Value, axes: Sequence[int], correction: float) -> Value:
    dims, dtype = [x.type.shape[axis] for axis in axes], x.type.dtype
    size = product(dims)
    if isinstance(size, int):
        return ctx.number(max(size - correction, 0.0), dtype, "divisor")
    less = ctx.emit(ops.Sub(count(ctx, dims, dtype), ctx.number(float(correction), dtype)), "less")
    return ctx.emit(ops.Maximum(less, ctx.number(0.0, dtype)), "divisor")
