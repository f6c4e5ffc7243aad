"""Converters of matrix products."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_ops_torch.converting import ConversionContext, Number, converts

_OUT_DTYPE = {"out_dtype": "mixed-precision products are for CUDA only"}
_BATCHES = "the first sizes of both batches"


@converts("aten::linear")
def linear(ctx: ConversionContext, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor.

    weight is [out, in], or [in] for a result without the last axis. Numbers of one dtype.
    """
    if weight.type.rank == 1:
        if bias is not None and (x.type.rank == 2 or bias.type.rank):
            raise ConversionError(  # there torch computes addmm
                "linear: a vector for the weight of a matrix takes no bias",
                got=f"{x.type}, {weight.type}, {bias.type}",
            )
        result = dot(ctx, x, weight) if x.type.rank == 1 else matmul(ctx, x, weight)
        return result if bias is None else ctx.emit(ops.Add(result, bias))
    if x.type.dtype.is_float and (bias is None or bias.type.shape == weight.type.shape[:1]):
        return ctx.emit(ops.Linear(x, weight, bias))
    if weight.type.rank != 2:
        raise ConversionError("linear: weight has 1 or 2 axes", got=weight.type)
    product = matmul(ctx, x, ctx.emit(ops.Transpose(weight, (1, 0)), "weight"))
    return product if bias is None else _sum(ctx, bias, product, 1, 1)


@converts("aten::matmul", "aten::linalg_matmul")
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
    if rank == 3:
        ctx.require_equal(_BATCHES, x.type.shape[0], mat2.type.shape[0])
    return ctx.emit(ops.MatMul(x, mat2))


@converts("aten::mv")
def mv(ctx: ConversionContext, x: Value, vec: Value) -> Value:
    """aten::mv(Tensor self, Tensor vec) -> Tensor. Numbers of one dtype."""
    if x.type.rank != 2 or vec.type.rank != 1:
        raise ConversionError(f"{ctx.operator}: a matrix and a vector", got=f"{x.type}, {vec.type}")
    return matmul(ctx, x, vec)


@converts("aten::dot", "aten::vdot")
def dot(
    ctx: ConversionContext, x: Value, tensor: Value | None = None, other: Value | None = None
) -> Value:
    """aten::dot(Tensor self, Tensor tensor) -> Tensor. Vectors of numbers of one dtype."""
    second = tensor if tensor is not None else other
    assert second is not None
    if x.type.rank != 1 or second.type.rank != 1:
        raise ConversionError(f"{ctx.operator}: two vectors", got=f"{x.type}, {second.type}")
    return matmul(ctx, x, second)


@converts("aten::addmm", "aten::addmm_", unsupported=_OUT_DTYPE)
def addmm(
    ctx: ConversionContext, x: Value, mat1: Value, mat2: Value, beta: Number = 1, alpha: Number = 1
) -> Value:
    """aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor.

    beta * self + alpha * (mat1 @ mat2). A bias vector and a fixed matrix make a ``Linear``.
    """
    if mat1.type.rank != 2 or mat2.type.rank != 2:
        raise ConversionError("addmm: matrices have 2 axes", got=f"{mat1.type}, {mat2.type}")
    is_layer = x.type.rank == 1 and mat2.constant is not None and x.type.dtype.is_float
    if is_layer and _is_one(beta) and _is_one(alpha):
        weight = ctx.emit(ops.Transpose(mat2, (1, 0)), "weight")
        if x.type.shape == weight.type.shape[:1]:
            return ctx.emit(ops.Linear(mat1, weight, x))
    product = ctx.emit(ops.MatMul(mat1, mat2))
    _require_scales(ctx, product, beta, mat1.type.shape[1] == 0 and 0 not in product.type.shape)
    return _sum(ctx, x, product, beta, alpha)


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
    ctx.require_equal(_BATCHES, batch1.type.shape[0], batch2.type.shape[0])
    product = ctx.emit(ops.MatMul(batch1, batch2))
    _require_scales(ctx, product, beta, batch1.type.shape[2] == 0 and 0 not in product.type.shape)
    return _sum(ctx, x, product, beta, alpha)


@converts("aten::addbmm", "aten::addbmm_")
def addbmm(
    ctx: ConversionContext,
    x: Value,
    batch1: Value,
    batch2: Value,
    beta: Number = 1,
    alpha: Number = 1,
) -> Value:
    """aten::addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor.

    beta * self + alpha * (the sum of all batch1[i] @ batch2[i]), which is one product.
    """
    for batch in (batch1, batch2):
        if batch.type.rank != 3:
            raise ConversionError("addbmm: batches have 3 axes", got=batch.type)
    count, rows, depth = batch1.type.shape
    count_of_other, depth_of_other, columns = batch2.type.shape
    ctx.require_equal(_BATCHES, count, count_of_other)
    ctx.require_equal("columns of batch1 and rows of batch2", depth, depth_of_other)
    wide = ctx.emit(ops.Transpose(batch1, (1, 0, 2)), "wide")
    wide = ctx.emit(ops.Reshape(wide, (rows, count * depth)), "wide")
    tall = ctx.emit(ops.Reshape(batch2, (count * depth, columns)), "tall")
    product = ctx.emit(ops.MatMul(wide, tall))
    no_sum = count == 0 or (depth == 0 and 0 not in product.type.shape)
    _require_scales(ctx, product, beta, no_sum)
    return _sum(ctx, x, product, beta, alpha)


@converts("aten::addmv", "aten::addmv_")
def addmv(
    ctx: ConversionContext, x: Value, mat: Value, vec: Value, beta: Number = 1, alpha: Number = 1
) -> Value:
    """aten::addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor."""
    if 0 in mat.type.shape and isinstance(beta, (int, float)):
        ctx.fitted(beta, x.type.dtype)  # torch converts it even then
    return _sum(ctx, x, mv(ctx, mat, vec), beta, alpha)


@converts("aten::addr", "aten::addr_")
def addr(
    ctx: ConversionContext, x: Value, vec1: Value, vec2: Value, beta: Number = 1, alpha: Number = 1
) -> Value:
    """aten::addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor.

    beta * self + alpha * (vec1 outer vec2). Any dtypes, promoted; bool adds as or.
    """
    if vec1.type.rank != 1 or vec2.type.rank != 1:
        raise ConversionError("addr: two vectors", got=f"{vec1.type}, {vec2.type}")
    # torch stretches self first: a 0-d one counts for the dtype as one with axes does.
    x = x if x.type.rank else ctx.emit(ops.Unsqueeze(x, (0,)))
    base, column, row = ctx.promote(x, vec1, vec2)
    dtype = base.type.dtype
    for factor in (beta, alpha):
        is_bool, is_float = isinstance(factor, bool), isinstance(factor, float)
        if (is_bool and dtype is not DType.BOOL) or (is_float and not dtype.is_float):
            raise ConversionError(
                "addr: beta and alpha may be float for floats only, and bool for bool only",
                got=f"{factor} for {dtype}",
            )
    column = ctx.emit(ops.Unsqueeze(column, (1,)))
    if dtype is not DType.BOOL:
        return _sum(ctx, base, ctx.emit(ops.Mul(column, row)), beta, alpha)
    product = ctx.emit(ops.And(column, row))
    _require_fits(ctx, base, product)
    product = ctx.emit(ops.And(product, ctx.number(alpha, dtype, "alpha")))
    return ctx.emit(ops.Or(ctx.emit(ops.And(base, ctx.number(beta, dtype, "beta"))), product))


@converts("aten::_addmm_activation")
def addmm_activation(
    ctx: ConversionContext,
    x: Value,
    mat1: Value,
    mat2: Value,
    beta: Number = 1,
    alpha: Number = 1,
    use_gelu: bool = False,
) -> Value:
    """aten::_addmm_activation(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1, bool use_gelu=False) -> Tensor.

    addmm, then relu, or the exact gelu of floats.
    """
    made = addmm(ctx, x, mat1, mat2, beta, alpha)
    return ctx.emit(ops.Gelu(made) if use_gelu else ops.Relu(made))


def _sum(ctx: ConversionContext, x: Value, product: Value, beta: Number, alpha: Number) -> Value:
    """Beta * x + alpha * product, of the product's dtype and shape."""
    dtype = product.type.dtype
    _require_fits(ctx, x, product)
    if 0 in product.type.shape:
        return product  # torch does not look at the factors then
    if not _is_one(alpha):
        product = ctx.emit(ops.Mul(product, ctx.number(alpha, dtype, "alpha")))
    if isinstance(beta, (int, float)) and beta == 0:
        return product  # torch does not read self then: NaN in it does not spread
    if not _is_one(beta):
        x = ctx.emit(ops.Mul(x, ctx.number(beta, dtype, "beta")))
    return ctx.emit(ops.Add(product, x))


def _require_scales(ctx: ConversionContext, product: Value, beta: Number, no_sum: bool) -> None:
    """Refuse what torch refuses where sums have no terms: it multiplies self by beta then."""
    dtype = product.type.dtype
    if no_sum and isinstance(beta, float) and beta != 0 and not dtype.is_float:
        raise ConversionError(
            f"{ctx.operator}: a float beta cannot scale integers to which nothing is added",
            expected="an integer beta",
            got=f"{beta} of {dtype}",
        )


def _require_fits(ctx: ConversionContext, x: Value, product: Value) -> None:
    if (
        x.type.dtype is not product.type.dtype
        or ctx.broadcast_shape([x, product]) != product.type.shape
    ):
        raise ConversionError(
            f"{ctx.operator}: what is added has another dtype, or does not stretch to the product",
            expected=product.type,
            got=x.type,
        )


def _is_one(number: Number) -> bool:
    return isinstance(number, (int, float)) and number == 1
