"""Converters of matrix products."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Value, ops
from fwd_ops_torch.converting import ConversionContext, Number, converts

_OUT_DTYPE = {"out_dtype": "mixed-precision products are for CUDA only"}


@converts("aten::linear")
def linear(ctx: ConversionContext, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor.

    weight is [out, in], or [in] for a result without the last axis.
    """
    if weight.type.rank == 1:
        if bias is not None and x.type.rank == 2:  # there torch computes addmm
            raise ConversionError(
                "linear: a vector for the weight of a matrix takes no bias",
                got=f"{x.type}, {weight.type}",
            )
        row = ctx.emit(ops.Unsqueeze(weight, (0,)))
        product = ctx.emit(ops.Linear(x, row))
        result = ctx.emit(ops.Squeeze(product, (product.type.rank - 1,)))
        return result if bias is None else ctx.emit(ops.Add(result, bias))
    return ctx.emit(ops.Linear(x, weight, bias))


@converts("aten::matmul")
def matmul(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::matmul(Tensor self, Tensor other) -> Tensor. Vectors, matrices and batches of them."""
    if x.type.rank == 0 or other.type.rank == 0:
        raise ConversionError(
            "matmul: both arguments need at least one axis", got=f"{x.type}, {other.type}"
        )
    a = ctx.emit(ops.Unsqueeze(x, (0,))) if x.type.rank == 1 else x
    b = ctx.emit(ops.Unsqueeze(other, (1,))) if other.type.rank == 1 else other
    product = ctx.emit(ops.MatMul(a, b))
    rank = product.type.rank
    dropped = [rank - 2] * (x.type.rank == 1) + [rank - 1] * (other.type.rank == 1)
    return ctx.emit(ops.Squeeze(product, tuple(dropped))) if dropped else product


@converts("aten::mm", "aten::bmm", unsupported=_OUT_DTYPE)
def mm(ctx: ConversionContext, x: Value, mat2: Value) -> Value:
    """aten::mm(Tensor self, Tensor mat2) -> Tensor. Also aten::bmm, with one batch axis."""
    rank = 2 if ctx.operator == "aten::mm" else 3
    if x.type.rank != rank or mat2.type.rank != rank:
        raise ConversionError(
            f"{ctx.operator}: both arguments need {rank} axes", got=f"{x.type}, {mat2.type}"
        )
    return ctx.emit(ops.MatMul(x, mat2))


@converts("aten::addmm", "aten::addmm_", unsupported=_OUT_DTYPE)
def addmm(
    ctx: ConversionContext, x: Value, mat1: Value, mat2: Value, beta: Number = 1, alpha: Number = 1
) -> Value:
    """aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor.

    beta * self + alpha * (mat1 @ mat2). A bias vector and a fixed matrix make a ``Linear``.
    """
    if mat1.type.rank != 2 or mat2.type.rank != 2:
        raise ConversionError("addmm: matrices have 2 axes", got=f"{mat1.type}, {mat2.type}")
    if _is_one(beta) and _is_one(alpha) and x.type.rank == 1 and mat2.constant is not None:
        weight = ctx.emit(ops.Transpose(mat2, (1, 0)), "weight")
        if x.type.shape == weight.type.shape[:1]:
            return ctx.emit(ops.Linear(mat1, weight, x))
    return _sum(ctx, x, ctx.emit(ops.MatMul(mat1, mat2)), beta, alpha)


@converts("aten::baddbmm", "aten::baddbmm_", unsupported=_OUT_DTYPE)
def baddbmm(
    ctx: ConversionContext,
    x: Value,
    batch1: Value,
    batch2: Value,
    beta: Number = 1,
    alpha: Number = 1,
) -> Value:
    """aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor."""
    if batch1.type.rank != 3 or batch2.type.rank != 3:
        raise ConversionError("baddbmm: batches have 3 axes", got=f"{batch1.type}, {batch2.type}")
    return _sum(ctx, x, ctx.emit(ops.MatMul(batch1, batch2)), beta, alpha)


def _sum(ctx: ConversionContext, x: Value, product: Value, beta: Number, alpha: Number) -> Value:
    dtype = product.type.dtype
    if not _is_one(alpha):
        product = ctx.emit(ops.Mul(product, ctx.number(alpha, dtype, "alpha")))
    if isinstance(beta, (int, float)) and beta == 0:
        return product  # torch does not read self then: NaN in it does not spread
    if not _is_one(beta):
        x = ctx.emit(ops.Mul(x, ctx.number(beta, dtype, "beta")))
    return ctx.emit(ops.Add(product, x))


def _is_one(number: Number) -> bool:
    return isinstance(number, (int, float)) and number == 1
