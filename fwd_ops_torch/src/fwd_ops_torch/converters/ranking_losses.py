"""Converters of losses that keep things apart by a margin.

Half precision is computed in float32 and rounded once, at the end.
"""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, is_equal, ops
from fwd_ops_torch.converters._losses import NONE, reduced, require_weight, single
from fwd_ops_torch.converters._numerics import places
from fwd_ops_torch.converters.distance import pairwise_distance
from fwd_ops_torch.converters.elementwise import add, clamp, div, eq, minimum, mul, ne, rsub, sub
from fwd_ops_torch.converters.logic import where
from fwd_ops_torch.converters.reduction import sum_
from fwd_ops_torch.converters.unary import sqrt
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.promotion import result_dtype

#: What torch adds to squares of lengths.
_EPSILON = 1e-12


@converts("aten::hinge_embedding_loss")
def hinge_embedding_loss(
    ctx: ConversionContext, x: Value, target: Value, margin: float = 1.0, reduction: int = 1
) -> Value:
    """aten::hinge_embedding_loss(Tensor self, Tensor target, float margin=1., int reduction=1) -> Tensor.

    self where target is 1, what it lacks of the margin where target is -1, and both elsewhere. Not
    bool; the dtype of self.
    """
    dtype = x.type.dtype
    if dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    (value,) = single(ctx, x)
    apart = ctx.number(margin if dtype.is_float else int(margin), value.type.dtype, "margin")
    lacking = clamp(ctx, sub(ctx, apart, value), 0)
    zero = ctx.number(0, value.type.dtype, "zero")
    first = where(ctx, ne(ctx, target, 1), lacking, zero)
    loss = reduced(ctx, add(ctx, first, where(ctx, ne(ctx, target, -1), value, zero)), reduction)
    return ctx.cast(loss, dtype) if dtype.is_float else loss


@converts("aten::margin_ranking_loss")
def margin_ranking_loss(
    ctx: ConversionContext,
    input1: Value,
    input2: Value,
    target: Value,
    margin: float = 0.0,
    reduction: int = 1,
) -> Value:
    """aten::margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=1) -> Tensor.

    margin - target (input1 - input2), 0 at least. Numbers.
    """
    dtype = result_dtype((input1, input2, target, margin))
    first, second, sign = single(ctx, input1, input2, target)
    ordered = mul(ctx, ctx.emit(ops.Neg(sign), "sign"), sub(ctx, first, second))
    loss = clamp(ctx, add(ctx, ordered, margin), 0)
    return ctx.cast(reduced(ctx, loss, reduction), dtype)


@converts("aten::cosine_embedding_loss")
def cosine_embedding_loss(
    ctx: ConversionContext,
    input1: Value,
    input2: Value,
    target: Value,
    margin: float = 0.0,
    reduction: int = 1,
) -> Value:
    """aten::cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=1) -> Tensor.

    Of vectors, or of rows: 1 - cosine where target is 1, and the cosine above the margin where it
    is -1. Floats.
    """
    axis = target.type.rank
    if axis > 1 or not input1.type.rank == input2.type.rank == axis + 1:
        raise ConversionError(
            f"{ctx.operator}: vectors and one target, or rows and a target for each",
            got=f"{input1.type}, {input2.type}, {target.type}",
        )
    dtype = result_dtype((input1, input2))
    if not dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=f"{input1.type}, {input2.type}")
    a, b = single(ctx, *ctx.promote(input1, input2))
    lengths = mul(
        ctx, *(add(ctx, sum_(ctx, mul(ctx, one, one), [axis]), _EPSILON) for one in (a, b))
    )
    cosine = div(ctx, sum_(ctx, mul(ctx, a, b), [axis]), sqrt(ctx, lengths))
    zero = ctx.number(0.0, cosine.type.dtype, "zero")
    together = where(ctx, eq(ctx, target, 1), rsub(ctx, cosine, 1), zero)
    above = clamp(ctx, sub(ctx, cosine, margin), 0)
    loss = add(ctx, together, where(ctx, eq(ctx, target, -1), above, zero))
    return ctx.cast(reduced(ctx, loss, reduction), dtype)


@converts("aten::triplet_margin_loss")
def triplet_margin_loss(
    ctx: ConversionContext,
    anchor: Value,
    positive: Value,
    negative: Value,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Value:
    """aten::triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1., float p=2., float eps=1e-6, bool swap=False, int reduction=1) -> Tensor.

    How much the anchor is nearer to the negative than to the positive, and the margin. Floats of as
    many axes.
    """
    if not anchor.type.rank == positive.type.rank == negative.type.rank:
        raise ConversionError(
            f"{ctx.operator}: as many axes in each",
            expected=anchor.type,
            got=f"{positive.type}, {negative.type}",
        )
    dtype = result_dtype((anchor, positive, negative))
    if not dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=anchor.type)
    a, near, far = single(ctx, anchor, positive, negative)
    to_far = pairwise_distance(ctx, a, far, p, eps)
    if swap:
        to_far = minimum(ctx, to_far, pairwise_distance(ctx, near, far, p, eps))
    to_near = add(ctx, pairwise_distance(ctx, a, near, p, eps), margin)
    loss = clamp(ctx, sub(ctx, to_near, to_far), 0)
    return ctx.cast(reduced(ctx, loss, reduction), dtype)


@converts("aten::multi_margin_loss")
def multi_margin_loss(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    p: float = 1,
    margin: float = 1,
    weight: Value | None = None,
    reduction: int = 1,
) -> Value:
    """aten::multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, int reduction=1) -> Tensor.

    float32 or float64, [N, C] or [C], against int64 classes: the mean over classes of what each
    lacks of the margin below the right one, or its square.
    """
    if p not in (1, 2):
        raise ConversionError(f"{ctx.operator}: p is 1 or 2", got=p)
    if not x.type.dtype.is_float or x.type.dtype.itemsize < 4:
        raise ConversionError(f"{ctx.operator}: float32 or float64", got=x.type)
    single_row = x.type.rank == 1
    rows = 1 if single_row or not x.type.rank else x.type.shape[0]
    if (
        x.type.rank not in (1, 2)
        or x.type.shape[-1] == 0
        or target.type.dtype is not DType.INT64
        or target.type.rank not in ((0, 1) if single_row else (1,))
        or is_equal(target.type.numel, rows) is not True
    ):
        raise ConversionError(
            f"{ctx.operator}: [N, C] or [C], not empty, against int64 classes of [N]",
            got=f"{x.type}, {target.type}",
        )
    axis = x.type.rank - 1
    require_weight(ctx, x, weight, axis, same=True)
    matrix = ctx.emit(ops.Unsqueeze(x, (0,)), "row") if single_row else x
    column = ctx.emit(ops.Reshape(target, (rows, 1)), "column")
    right = ctx.emit(ops.GatherElements(matrix, column, 1), "right")
    lacking = clamp(ctx, add(ctx, sub(ctx, matrix, right), margin), 0)
    each = lacking if p == 1 else mul(ctx, lacking, lacking)
    if weight is not None:
        each = mul(ctx, each, ctx.emit(ops.Gather(weight, column, 0), "weight"))
    is_right = ctx.emit(ops.Equal(places(ctx, matrix, 1), column), "is_right")
    zero = ctx.number(0.0, x.type.dtype, "zero")
    total = sum_(ctx, where(ctx, is_right, zero, each), [1])
    loss = div(ctx, total, ctx.number(x.type.shape[axis], x.type.dtype, "classes"))
    if reduction == NONE and target.type.rank == 0:
        return ctx.emit(ops.Reshape(loss, ()))
    return reduced(ctx, loss, reduction)
