"""Pooling."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fwd_core.backends.openvino import integers, reductions
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.backends.openvino.types import INT32_LIMITS
from fwd_core.ir.dims import Dim, maximum
from fwd_core.ir.ops import pooling as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


@lowering("openvino", ops.MaxPool)
def max_pool(ctx: OpenVINOLowering, op: ops.MaxPool) -> Output:
    """MaxPool of floats with torch's rule for the last window; of integers Maximum of slices."""
    if op.x.type.dtype.is_integer:
        return _max_pool_of_integers(ctx, op)
    padding = list(op.padding)
    rounding = "ceil_torch" if op.ceil_mode else "floor"
    return ctx.opset.max_pool(
        ctx[op.x], list(op.stride), list(op.dilation), padding, padding, list(op.kernel), rounding
    ).output(0)


@lowering("openvino", ops.AveragePool)
def average_pool(ctx: OpenVINOLowering, op: ops.AveragePool) -> Output:
    """AvgPool.

    A window that runs over the end divides by what lies within the padding. OpenVINO divides by
    the whole kernel then, so the padding is made real and only what is beyond it is left out.
    """
    x, padding = ctx[op.x], list(op.padding)
    real = op.ceil_mode and op.count_include_pad and any(padding)
    if real:
        around = ctx.vector([0, 0, *padding])
        zero = ctx.number(0, op.x.type.dtype)
        x = ctx.opset.pad(x, around, around, "constant", zero).output(0)
        padding = [0] * len(padding)
    result = ctx.opset.avg_pool(
        x,
        list(op.stride),
        padding,
        padding,
        list(op.kernel),
        real or not op.count_include_pad,
        "ceil_torch" if op.ceil_mode else "floor",
        dilations=[1] * len(padding),  # without them OpenVINO crashes when it compiles
    ).output(0)
    if real:  # a window within the padding alone is dropped
        sizes, spatial = op.infer().shape[2:], len(padding)
        result = _window_slice(ctx, result, [0] * spatial, sizes, [1] * spatial)
    return result


@lowering("openvino", ops.AdaptiveAveragePool)
def adaptive_average_pool(ctx: OpenVINOLowering, op: ops.AdaptiveAveragePool) -> Output:
    """AdaptiveAvgPool; the mean of all where one element is asked for, which is faster."""
    if all(size == 1 for size in op.output_size):
        axes = range(2, op.x.type.rank)
        return reductions.reduce(ctx, "reduce_mean", ctx[op.x], axes, True)
    return ctx.opset.adaptive_avg_pool(ctx[op.x], ctx.vector(op.output_size)).output(0)


def _max_pool_of_integers(ctx: OpenVINOLowering, op: ops.MaxPool) -> Output:
    """The greatest of the slices that hold the same element of every window."""
    out = op.infer().shape[2:]
    spans = [  # from the first element of the first window to that of the last, inclusive
        (count - 1) * stride + 1 for count, stride in zip(out, op.stride, strict=True)
    ]
    after: list[Dim] = []
    for size, span, kernel, pad, step in zip(
        op.x.type.shape[2:], spans, op.kernel, op.padding, op.dilation, strict=True
    ):
        after.append(maximum(0, span + (kernel - 1) * step - size - pad))
    around = ctx.vector([0, 0, *op.padding]), ctx.vector([0, 0, *after])
    x = integers.pad(ctx.opset, ctx[op.x], *around, INT32_LIMITS[0])
    offsets = itertools.product(
        *(
            range(0, kernel * step, step)
            for kernel, step in zip(op.kernel, op.dilation, strict=True)
        )
    )
    slices = [_window_slice(ctx, x, first, spans, op.stride) for first in offsets]
    greatest = slices[0]
    for one in slices[1:]:
        greatest = ctx.opset.maximum(greatest, one).output(0)
    return greatest


def _window_slice(
    ctx: OpenVINOLowering,
    x: Output,
    first: Sequence[int],
    spans: Sequence[Dim],
    strides: Sequence[int],
) -> Output:
    """Along the spatial axes, every stride-th element of a span."""
    last = [start + span for start, span in zip(first, spans, strict=True)]
    axes = ctx.vector(range(2, 2 + len(spans)))
    return ctx.opset.slice(
        x, ctx.vector(first), ctx.vector(last), ctx.vector(strides), axes
    ).output(0)
