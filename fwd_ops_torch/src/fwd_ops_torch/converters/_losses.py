"""What converters of losses share: the mean or sum at the end, and float32 until then."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Value, is_equal
from fwd_ops_torch.converters._numerics import widened
from fwd_ops_torch.converters.reduction import mean, sum_
from fwd_ops_torch.converting import ConversionContext

#: Torch's numbers for the strings that its Python functions take.
NONE, MEAN, SUM = 0, 1, 2


def require_reduction(ctx: ConversionContext, reduction: int) -> None:
    """Refuse numbers that torch's Python functions do not hand on.

    Raises:
        ConversionError: It is none of 0, 1 and 2.
    """
    if reduction not in (NONE, MEAN, SUM):
        raise ConversionError(
            f"{ctx.operator}: unknown reduction",
            expected="0 (none), 1 (mean), 2 (sum)",
            got=reduction,
        )


def reduced(ctx: ConversionContext, loss: Value, reduction: int) -> Value:
    """A loss of each element as it is, its mean or its sum.

    Raises:
        ConversionError: There is no such reduction.
    """
    require_reduction(ctx, reduction)
    if reduction == NONE:
        return loss
    return mean(ctx, loss) if reduction == MEAN else sum_(ctx, loss)


def single(ctx: ConversionContext, *values: Value) -> list[Value]:
    """The values, float16 and bfloat16 as float32: losses are rounded once, at their end."""
    return [widened(ctx, one) if one.type.dtype.is_float else one for one in values]


def require_weight(
    ctx: ConversionContext, x: Value, weight: Value | None, axis: int, *, same: bool
) -> None:
    """A weight is one number for each class.

    Args:
        ctx: Names the operator.
        x: Has classes along an axis.
        weight: What was given.
        axis: The axis of x.
        same: Whether it has to be of the dtype of x.

    Raises:
        ConversionError: It is not.
    """
    if weight is None:
        return
    classes = x.type.shape[axis]
    if weight.type.rank != 1 or is_equal(weight.type.shape[0], classes) is not True:
        raise ConversionError(
            f"{ctx.operator}: weight has one number for each class",
            expected=f"{classes} classes",
            got=weight.type,
        )
    if same and weight.type.dtype is not x.type.dtype:
        raise ConversionError(
            f"{ctx.operator}: weight is of another dtype", expected=x.type.dtype, got=weight.type
        )
