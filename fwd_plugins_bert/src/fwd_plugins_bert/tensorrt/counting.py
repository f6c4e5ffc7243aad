"""Numbers in equal steps, as many as there are sequences."""

from __future__ import annotations

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.creation import steps
from fwd_core.ir import Dim, DType, Tensor
from fwd_core.ir.dims import bounds

#: Numbers that a constant holds at most.
_MOST = 1 << 16


def counted(ctx: TensorRTLowering, length: Dim, step: int = 1) -> ITensor:
    """``length`` numbers from 0, int32, in steps of a number.

    They are cut from a constant as long as may be needed: on TensorRT 8 that is a plainer thing
    than a layer that fills a tensor of a size known only at the run.
    """
    most = bounds(length)[1]
    if most > _MOST:
        return steps(ctx, length, 0, step, DType.INT32)
    numbers = ctx.constant(Tensor(np.arange(most, dtype=np.int32) * np.int32(step)))
    if isinstance(length, int):
        return numbers
    return ctx.slice(numbers, (most,), {0: (0, length, 1)})
