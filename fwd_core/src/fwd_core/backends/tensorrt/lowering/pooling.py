"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.linear import product
from fwd_core.backends.tensorrt.lowering.reduction import reduced
from fwd_core.ir import dim_facts, ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering


@lowering("tensorrt", ops.MaxPool)
def max_pool(ctx: TensorRTLowering, op: ops.MaxPool) -> ITensor:
    """A pooling layer; dilated windows, integers and open counts by shifted slices."""
    shape = op.x.type.shape
    plain = all(step == 1 for step in op.dilation) and op.x.type.dtype.is_float
    excess = _excess(shape, op.infer().shape, op.kernel, op.stride, op.padding, op.ceil_mode)
    if not plain or excess is None:
        return _shifted_maxima(ctx, op)
    after = [p + more for p, more in zip(op.padding, excess, strict=True)]
    return _pooled(ctx, op, "MAX", ctx[op.x], shape, op.padding, after)


def _open_average(_ctx: TensorRTLowering, op: ops.AveragePool) -> str | None:
    """How far windows of ``ceil_mode`` run over the end must be fixed."""
    shape = op.x.type.shape
    known = _excess(shape, op.infer().shape, op.kernel, op.stride, op.padding, op.ceil_mode)
    if known is not None:
        return None
    return f"how far the last windows of ceil_mode run over the end of {op.x.type} is not fixed"


@lowering("tensorrt", ops.AveragePool, unless=_open_average)
def average_pool(ctx: TensorRTLowering, op: ops.AveragePool) -> ITensor:
    """A pooling layer, whose divisor counts what torch's counts.

    torch counts zero padding if it is told to, but never what a last window of ``ceil_mode``
    has beyond the padding. Where both occur the padding becomes part of the input first.
    """
    x, shape, padding = ctx[op.x], op.x.type.shape, op.padding
    excess = _excess(shape, op.infer().shape, op.kernel, op.stride, padding, op.ceil_mode)
    assert excess is not None
    counted = op.count_include_pad and any(padding)
    if counted and any(excess):
        cuts = {axis + 2: (-p, shape[axis + 2] + 2 * p, 1) for axis, p in enumerate(padding)}
        x = ctx.slice(x, shape, cuts, mode="FILL")  # with zeros
        shape = (*shape[:2], *(length for _, length, _ in cuts.values()))
        padding, counted = (0,) * len(padding), False
    after = [p + more for p, more in zip(padding, excess, strict=True)]
    return _pooled(ctx, op, "AVERAGE", x, shape, padding, after, exclude=not counted)


def _open_parts(_ctx: TensorRTLowering, op: ops.AdaptiveAveragePool) -> str | None:
    """A dynamic size is divided into one part, or into as many as there are elements."""
    for size, parts in zip(op.x.type.shape[2:], op.output_size, strict=True):
        known = isinstance(size, int) and isinstance(parts, int)
        if not known and parts not in (1, size):
            return f"a dynamic size ({size}) cannot be divided into {parts} parts"
    return None


@lowering("tensorrt", ops.AdaptiveAveragePool, unless=_open_parts)
def adaptive_average_pool(ctx: TensorRTLowering, op: ops.AdaptiveAveragePool) -> ITensor:
    """Axis by axis: a mean, or a product with the matrix that averages the parts of the axis."""
    x, shape, dtype = ctx[op.x], op.x.type.shape, op.x.type.dtype
    whole = [
        axis for axis, parts in enumerate(op.output_size, 2) if parts == 1 and shape[axis] != 1
    ]
    if whole:
        x = ctx.in_float32(x, dtype, lambda wide: reduced(ctx, wide, "AVG", whole, True))
    for axis, (size, parts) in enumerate(zip(shape[2:], op.output_size, strict=True), 2):
        if isinstance(size, int) and isinstance(parts, int) and parts not in (1, size):
            x = _averaged_parts(ctx, x, axis, len(shape), parts_matrix(size, parts), dtype)
    return x


def parts_matrix(size: int, parts: int) -> NDArray[np.float64]:
    """[parts, size]: row i averages the elements of part i, as the operator defines it."""
    matrix = np.zeros((parts, size))
    for part in range(parts):
        start, end = part * size // parts, -(-(part + 1) * size // parts)
        matrix[part, start:end] = 1.0 / (end - start)
    return matrix


def _averaged_parts(
    ctx: TensorRTLowering,
    x: ITensor,
    axis: int,
    rank: int,
    matrix: NDArray[np.float64],
    dtype: DType,
) -> ITensor:
    held = ctx.constant(Tensor(matrix.reshape((1,) * (rank - 2) + matrix.shape)).astype(dtype))
    # Products with transposed operands in a row are more than TensorRT-RTX 1.7 can compile for
    # some shapes, so the last two axes are multiplied as they lie.
    if axis == rank - 1:
        return product(ctx, x, held, transpose_b=True)
    if axis == rank - 2:
        return product(ctx, held, x)
    order = [*(other for other in range(rank) if other != axis), axis]
    averaged = product(ctx, ctx.transpose(x, order), held, transpose_b=True)
    return ctx.transpose(averaged, [order.index(other) for other in range(rank)])


def _pooled(
    ctx: TensorRTLowering,
    op: ops.MaxPool | ops.AveragePool,
    kind: str,
    x: ITensor,
    shape: Shape,
    before: Sequence[int],
    after: Sequence[int],
    *,
    exclude: bool = False,
) -> ITensor:
    flat = len(shape) == 3  # pooling layers have two or three spatial axes
    one, none = ((1,), (0,)) if flat else ((), ())
    result = ctx(
        "pooling_nd",
        ctx.unsqueeze(x, shape, (2,)) if flat else x,
        getattr(ctx.trt.PoolingType, kind),
        (*one, *op.kernel),
        stride_nd=(*one, *op.stride),
        pre_padding=(*none, *before),
        post_padding=(*none, *after),
        average_count_excludes_padding=exclude,
    )
    if not flat:
        return result
    batch, channels, length = op.infer().shape
    return ctx.reshape(result, (batch, channels, 1, length), (batch, channels, length))


def _excess(
    shape: Shape,
    out: Shape,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
) -> list[int] | None:
    """Per axis, how far the last window runs beyond the padded input; ``None`` if it depends."""
    if not ceil_mode:
        return [0] * len(kernel)
    found = []
    for size, count, k, s, p in zip(shape[2:], out[2:], kernel, stride, padding, strict=True):
        over = (count - 1) * s + k - size - 2 * p
        if not isinstance(over, int):
            return None
        found.append(max(over, 0))
    return found


def _shifted_maxima(ctx: TensorRTLowering, op: ops.MaxPool) -> ITensor:
    """Axis by axis, the greatest of as many strided slices as the kernel has elements there."""
    x, shape, out, dtype = ctx[op.x], op.x.type.shape, op.infer().shape, op.x.type.dtype
    lowest = -np.inf if dtype.is_float else ctx.limits(dtype)[0]
    fill = ctx.fill(lowest, dtype) if lowest != 0 else None  # zeros are the default
    for axis, (k, s, p, d) in enumerate(
        zip(op.kernel, op.stride, op.padding, op.dilation, strict=True), 2
    ):
        last = (out[axis] - 1) * s + (k - 1) * d
        inside = p == 0 and dim_facts.is_less(last, shape[axis]) is True
        mode = {} if inside else {"mode": "FILL", "fill": fill}
        taps = [
            ctx.slice(x, shape, {axis: (tap * d - p, out[axis], s)}, **mode) for tap in range(k)
        ]
        x = taps[0]
        for tap in taps[1:]:
            x = ctx.elementwise("MAX", x, tap)
        shape = (*shape[:axis], out[axis], *shape[axis + 1 :])
    return x
