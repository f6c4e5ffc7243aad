"""Single numbers that a compiler does not keep as they are: infinities and NaN.

TensorRT 8 writes a constant of one element into the kernels as a number between -1e38 and 1e38,
and so the result of arithmetic on such constants. What it keeps is the contents of constants of
several elements, and what is gathered from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fwd_core.ir.tensor import Tensor

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
    from fwd_core.ir.graph import Value


def is_kept(ctx: TensorRTLowering, tensor: Tensor) -> bool:
    """Whether the compiler takes a constant as it is."""
    if ctx.features.endless_constants or not tensor.dtype.is_float or tensor.data.size != 1:
        return True
    return bool(np.isfinite(tensor.numpy()).all())


def folds(ctx: TensorRTLowering, value: Value) -> bool:
    """Whether the compiler would compute the node under way, and not keep an endless result."""
    tensor = value.constant
    if tensor is None or ctx.features.endless_constants or ctx.node is None:
        return False
    lone = tensor.dtype.is_float and tensor.data.size == 1
    return lone and all(each.constant is not None for each in ctx.node.op.operands())


def unfolded(ctx: TensorRTLowering, value: Value) -> ITensor:
    """A constant of one number, for a node of constants alone."""
    key = ("unfolded", value)
    if key not in ctx.memo:
        assert value.constant is not None
        ctx.memo[key] = gathered(ctx, value.constant)
    return ctx.memo[key]


def gathered(ctx: TensorRTLowering, tensor: Tensor) -> ITensor:
    """A single number, in a way that the compiler does not look through."""
    both = np.concatenate([np.zeros(1, tensor.data.dtype), tensor.data.reshape(-1)])
    table = ctx.constant(Tensor(both, tensor.dtype))
    return ctx("gather", table, ctx.constant(Tensor(np.ones(tensor.shape, np.int32))), 0)
