"""Converters of losses of classes: what the model says of the right one.

Half precision is computed in float32 and rounded once, at the end. That a target is a class is not
checked.
"""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converters._losses import (
    MEAN,
    NONE,
    reduced,
    require_reduction,
    require_weight,
    single,
)
from fwd_ops_torch.converters.elementwise import add, div, mul
from fwd_ops_torch.converters.reduction import sum_
from fwd_ops_torch.converters.softmax import log_softmax
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.promotion import result_dtype

#: How many axes a loss may have; ``nll_loss_nd`` takes any number.
_RANKS = {"aten::nll_loss": (1, 2), "aten::nll_loss2d": (4,)}


@converts("aten::nll_loss", "aten::nll_loss2d", "aten::nll_loss_nd")
def nll_loss(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
) -> Value:
    """aten::nll_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100) -> Tensor.

    Minus what [N, C] or [C] holds for the classes of [N] or [], times their weights; of images
    [N, C, H, W] and [N, H, W], or of any number of axes.
    """
    return nll_loss_forward(ctx, x, target, weight, reduction, ignore_index)[0]


@converts("aten::nll_loss_forward", "aten::nll_loss2d_forward")
def nll_loss_forward(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignore_index: int,
) -> tuple[Value, Value]:
    """aten::nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index) -> (Tensor output, Tensor total_weight).

    The weight is 0 where nothing is reduced.
    """
    ranks = _RANKS.get(ctx.operator.removesuffix("_forward"))
    if ranks is not None and x.type.rank not in ranks:
        wanted = " or ".join(map(str, ranks))
        raise ConversionError(f"{ctx.operator}: {wanted} axes", got=x.type)
    loss, weights = _nll(ctx, x, target, weight, reduction, ignore_index)
    if loss.type.rank:
        total = ctx.number(0.0, x.type.dtype, "total_weight")
    else:
        total = ctx.cast(sum_(ctx, weights), x.type.dtype)
    return ctx.cast(loss, x.type.dtype), total


@converts("aten::cross_entropy_loss")
def cross_entropy_loss(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Value:
    """aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100, float label_smoothing=0.) -> Tensor.

    Of [N, C, ...] or [C], against classes, or against probabilities of its own shape.
    """
    if label_smoothing > 1:
        raise ConversionError(
            f"{ctx.operator}: label_smoothing is out of range",
            expected="0 … 1",
            got=label_smoothing,
        )
    if x.type.rank == 0:
        raise ConversionError(f"{ctx.operator}: there is no axis of classes", got=x.type)
    axis = _class_axis(x)
    if x.type.rank == target.type.rank:
        same = [is_equal(*pair) for pair in zip(x.type.shape, target.type.shape, strict=True)]
        if all(same):
            return _of_probabilities(
                ctx, x, target, weight, reduction, ignore_index, label_smoothing
            )
    likely = log_softmax(ctx, single(ctx, x)[0], axis)
    if label_smoothing <= 0:
        loss, _ = _nll(ctx, likely, target, weight, reduction, ignore_index, x.type.dtype)
        return ctx.cast(loss, x.type.dtype)
    require_weight(ctx, x, weight, axis, same=True)
    if target.type.rank != x.type.rank - 1:
        raise ConversionError(
            f"{ctx.operator}: target has one axis less than self", expected=x.type, got=target.type
        )
    loss, weights = _nll(ctx, likely, target, weight, reduction, ignore_index, x.type.dtype)
    smooth = ctx.emit(ops.Neg(sum_(ctx, _each(ctx, likely, weight, axis), [axis])), "smooth")
    ignored = _ignored(ctx, target, ignore_index)
    zero = ctx.number(0.0, smooth.type.dtype, "zero")
    smooth = ctx.emit(ops.Where(ignored, zero, smooth), "kept")
    if reduction == MEAN:
        smooth = div(ctx, sum_(ctx, smooth), sum_(ctx, weights))
    else:
        smooth = reduced(ctx, smooth, reduction)
    share = _share(ctx, label_smoothing, x.type.shape[axis], smooth.type.dtype)
    both = add(ctx, mul(ctx, loss, 1 - label_smoothing), mul(ctx, smooth, share))
    return ctx.cast(both, x.type.dtype)


def _class_axis(x: Value) -> int:
    return 0 if x.type.rank == 1 else 1


def _share(ctx: ConversionContext, smoothing: float, classes: Dim, dtype: DType) -> Value:
    """What label smoothing gives to each class."""
    whole = ctx.number(smoothing, dtype, "smoothing")
    return div(ctx, whole, ctx.number(classes, dtype, "classes"))


def _nll(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignore_index: int,
    dtype: DType | None = None,
) -> tuple[Value, Value]:
    """The loss in float32 at least, and the weights of elements.

    Args:
        ctx: Adds the operators.
        x: Logarithms of probabilities.
        target: Classes.
        weight: Of each class.
        reduction: Torch's number.
        ignore_index: The class that does not count.
        dtype: Of what the logarithms are of, if not that of x.
    """
    require_reduction(ctx, reduction)
    _require_classes(ctx, x, target)
    axis = _class_axis(x)
    values = single(ctx, x)[0]
    if weight is not None and weight.type.dtype is not (dtype or x.type.dtype):
        raise ConversionError(
            f"{ctx.operator}: weight is of another dtype",
            expected=dtype or x.type.dtype,
            got=weight.type,
        )
    require_weight(ctx, x, weight, axis, same=False)
    classes = ctx.cast(target, DType.INT64)
    if x.type.rank == 1 and target.type.rank == 1:
        classes = ctx.emit(ops.Reshape(classes, ()), "class")
    ignored = _ignored(ctx, classes, ignore_index)
    safe = ctx.emit(ops.Where(ignored, ctx.number(0, DType.INT64, "first"), classes), "classes")
    index = ctx.emit(ops.Unsqueeze(safe, (axis,)), "index")
    picked = ctx.emit(ops.Squeeze(ctx.emit(ops.GatherElements(values, index, axis)), (axis,)))
    zero, one = (ctx.number(number, values.type.dtype) for number in (0.0, 1.0))
    given = (
        one if weight is None else ctx.emit(ops.Gather(single(ctx, weight)[0], safe, 0), "given")
    )
    weights = ctx.emit(ops.Where(ignored, zero, given), "weights")
    # Minus infinity that is ignored is nothing, but times 0 it is no number.
    cost = ctx.emit(ops.Neg(ctx.emit(ops.Mul(picked, given), "weighted")), "cost")
    loss = ctx.emit(ops.Where(ignored, zero, cost), "loss")
    if reduction == NONE:
        return loss, weights
    total = sum_(ctx, loss)
    return (div(ctx, total, sum_(ctx, weights)) if reduction == MEAN else total), weights


def _require_classes(ctx: ConversionContext, x: Value, target: Value) -> None:
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)
    kinds = (DType.INT64, DType.UINT8) if x.type.rank <= 2 else (DType.INT64,)
    if target.type.dtype not in kinds:
        expected = " or ".join(map(str, kinds))
        raise ConversionError(f"{ctx.operator}: classes are {expected}", got=target.type)
    if x.type.rank == 1:
        fits = target.type.rank == 0 or target.type.shape == (1,)
    else:
        wanted = [size for place, size in enumerate(x.type.shape) if place != 1]
        have = target.type.shape
        fits = x.type.rank > 1 and len(wanted) == len(have) and all(map(is_equal, wanted, have))
    if not fits:
        raise ConversionError(
            f"{ctx.operator}: a class for each of [N, C, ...], or one for [C]",
            expected=x.type,
            got=target.type,
        )


def _ignored(ctx: ConversionContext, target: Value, ignore_index: int) -> Value:
    classes = ctx.cast(target, DType.INT64)
    return ctx.emit(ops.Equal(classes, ctx.number(ignore_index, DType.INT64)), "ignored")


def _each(ctx: ConversionContext, x: Value, weight: Value | None, axis: int) -> Value:
    """X times the weights of its classes."""
    if weight is None:
        return x
    behind = tuple(range(1, x.type.rank - axis))
    column = ctx.emit(ops.Unsqueeze(single(ctx, weight)[0], behind), "weight")
    return mul(ctx, x, column)


def _of_probabilities(
    ctx: ConversionContext,
    x: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignore_index: int,
    label_smoothing: float,
) -> Value:
    require_reduction(ctx, reduction)
    if not target.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: probabilities are floats", got=target.type)
    if ignore_index >= 0:
        raise ctx.unsupported(
            "ignore_index", "torch ignores classes only, and these are probabilities"
        )
    axis = _class_axis(x)
    require_weight(ctx, x, weight, axis, same=False)
    dtype = result_dtype([x, target] if weight is None else [x, target, weight])
    likely = log_softmax(ctx, single(ctx, x)[0], axis)
    (wanted,) = single(ctx, target)
    if label_smoothing > 0:
        share = _share(ctx, label_smoothing, x.type.shape[axis], DType.FLOAT32)
        wanted = add(ctx, mul(ctx, wanted, 1 - label_smoothing), share)
    cost = ctx.emit(ops.Neg(_each(ctx, mul(ctx, likely, wanted), weight, axis)), "cost")
    if reduction == NONE:
        return ctx.cast(sum_(ctx, cost, [axis]), dtype)
    total = sum_(ctx, cost)
    if reduction == MEAN:
        rows = product(size for place, size in enumerate(x.type.shape) if place != axis)
        total = div(ctx, total, ctx.number(rows, total.type.dtype, "rows"))
    return ctx.cast(total, dtype)
