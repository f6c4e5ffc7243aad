"""Converters of variances and standard deviations. Half precision is computed in float32."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Value, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converters._numerics import count, widened, without
from fwd_ops_torch.converting import ConversionContext, converts


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


def centered(ctx: ConversionContext, x: Value, axes: Sequence[int]) -> tuple[Value, Value]:
    """The mean over axes, which keep size 1, and what the elements differ from it."""
    mean = ctx.emit(ops.ReduceMean(x, tuple(axes), keepdims=True), "mean") if axes else x
    return mean, ctx.emit(ops.Sub(x, mean), "centered")


def _correction(unbiased: bool | None, correction: float | None) -> float:
    if unbiased is not None:
        return int(unbiased)
    return 1 if correction is None else correction


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
