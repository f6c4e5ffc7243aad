"""Normalizations and softmax. Statistics are computed in float32, whatever the type."""

from __future__ import annotations

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.reduction import reduced
from fwd_core.backends.tensorrt.weights import weights
from fwd_core.ir import ops
from fwd_core.ir.dim_facts import is_less
from fwd_core.ir.dims import divide_exactly, product
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape, TensorType
from fwd_core.plugins.markers import lowering
from fwd_core.rewrite.precision.fold import scale_and_shift


@lowering("tensorrt", ops.BatchNorm)
def batch_norm(ctx: TensorRTLowering, op: ops.BatchNorm) -> ITensor:
    """A scale layer, which compilers fold into a convolution before it, if all is constant."""
    rank, dtype = op.x.type.rank, op.x.type.dtype
    folded = scale_and_shift(op)
    if folded is not None and rank >= 4:  # older flavours refuse scale layers of fewer axes
        scale, shift = (Tensor(each).astype(dtype) for each in folded)
        power = weights(ctx, None, dtype)
        held = weights(ctx, shift), weights(ctx, scale)
        return ctx("scale_nd", ctx[op.x], ctx.trt.ScaleMode.CHANNEL, *held, power, 1)
    if folded is not None:
        factor, summand = (
            ctx.constant(Tensor(each.reshape(1, -1, *(1,) * (rank - 2))).astype(dtype))
            for each in folded
        )
        return ctx.elementwise("SUM", ctx.elementwise("PROD", ctx[op.x], factor), summand)

    def channels(value: Value) -> ITensor:
        shape = value.type.shape
        return ctx.reshape(ctx[value], shape, (1, *shape, *(1,) * (rank - 2)))

    variance = ctx.elementwise("SUM", channels(op.variance), ctx.scalar(op.epsilon, dtype, rank))
    result = ctx.elementwise("SUB", ctx[op.x], channels(op.mean))
    result = ctx.elementwise("DIV", result, ctx.unary("SQRT", variance))
    if op.scale is not None:
        result = ctx.elementwise("PROD", result, channels(op.scale))
    if op.shift is not None:
        result = ctx.elementwise("SUM", result, channels(op.shift))
    return result


@lowering("tensorrt", ops.LayerNorm)
def layer_norm(ctx: TensorRTLowering, op: ops.LayerNorm) -> ITensor:
    """A normalization layer, of one type with its scale and shift."""
    shape, dtype = op.x.type.shape, op.x.type.dtype
    lead = len(shape) - op.axes
    normalized = shape[lead:]
    axes = tuple(range(lead, len(shape)))

    def parameter(value: Value | None, default: float) -> ITensor:
        if value is None:
            sizes = TensorType(DType.FLOAT32, (*(1,) * lead, *normalized)).static_shape()
            return ctx.constant(Tensor(np.full(sizes, default, np.float32)))
        tensor = ctx.ranked(value, len(shape))
        return tensor if ctx.computed(dtype) == "FLOAT" else ctx.cast(tensor, "FLOAT")

    def normalize(given: ITensor) -> ITensor:
        x = given
        if (op.scale is None or op.shift is None) and not _is_static(normalized):
            # A normalization layer needs both parameters in full, and their size is not known.
            x = ctx.in_squares(lambda: _normalized(ctx, given, axes, op.epsilon, len(shape)))
            if op.scale is not None:
                x = ctx.elementwise("PROD", x, parameter(op.scale, 1.0))
            if op.shift is not None:
                x = ctx.elementwise("SUM", x, parameter(op.shift, 0.0))
            return x
        scale, shift = parameter(op.scale, 1.0), parameter(op.shift, 0.0)
        mask = sum(1 << axis for axis in axes)
        return ctx("normalization", x, scale, shift, mask, epsilon=op.epsilon)

    return ctx.in_float32(ctx[op.x], dtype, normalize)


def _single(_ctx: TensorRTLowering, op: ops.GroupNorm) -> str | None:
    """A normalization layer needs groups of two elements at least."""
    elements = divide_exactly(product(op.x.type.shape[1:]), op.groups)
    return None if elements is not None and is_less(1, elements) else "a layer needs 2 elements"


@lowering("tensorrt", ops.GroupNorm, unless=_single)
def group_norm(ctx: TensorRTLowering, op: ops.GroupNorm) -> ITensor:
    """A normalization layer over images [N, groups, elements, 1], as for instances."""
    shape, dtype, rank = op.x.type.shape, op.x.type.dtype, op.x.type.rank
    size = divide_exactly(shape[1], op.groups)
    assert size is not None, "infer() takes no other"
    images = (shape[0], op.groups, product((size, *shape[2:])), 1)
    each = op.groups == shape[1]  # then the layer can scale channels too

    def number(value: float) -> ITensor:
        return ctx.constant(Tensor(np.full((1, op.groups, 1, 1), value, np.float32)))

    def channels(value: Value, axes: int) -> ITensor:
        sizes = value.type.shape
        tensor = ctx.reshape(ctx[value], sizes, (1, *sizes, *(1,) * (axes - 2)))
        return tensor if ctx.computed(dtype) == "FLOAT" else ctx.cast(tensor, "FLOAT")

    def normalize(x: ITensor) -> ITensor:
        scale = channels(op.scale, 4) if each and op.scale is not None else number(1.0)
        shift = channels(op.shift, 4) if each and op.shift is not None else number(0.0)
        x = ctx.reshape(x, shape, images)
        x = ctx("normalization", x, scale, shift, 0b1100, epsilon=op.epsilon)
        x = ctx.reshape(x, images, shape)
        if op.scale is not None and not each:
            x = ctx.elementwise("PROD", x, channels(op.scale, rank))
        if op.shift is not None and not each:
            x = ctx.elementwise("SUM", x, channels(op.shift, rank))
        return x

    return ctx.in_float32(ctx[op.x], dtype, normalize)


@lowering("tensorrt", ops.Softmax)
def softmax(ctx: TensorRTLowering, op: ops.Softmax) -> ITensor:
    """A softmax layer over one axis, of tensors of two axes or more."""
    return softmax_over(ctx, ctx[op.x], op.x.type.shape, op.axis, op.x.type.dtype)


def softmax_over(
    ctx: TensorRTLowering, x: ITensor, shape: Shape, axis: int, dtype: DType
) -> ITensor:
    """The softmax of a tensor of a shape and element type."""
    if len(shape) == 1:
        row = (1, *shape)
        flat = softmax_over(ctx, ctx.reshape(x, shape, row), row, 1, dtype)
        return ctx.reshape(flat, row, shape)
    if not ctx.features.strongly_typed:
        # The kernels of half add up in float32, and a cast would hide attention from the compiler.
        return ctx("softmax", x, axes=1 << axis)
    return ctx.in_float32(x, dtype, lambda wide: ctx("softmax", wide, axes=1 << axis))


def _normalized(
    ctx: TensorRTLowering, x: ITensor, axes: tuple[int, ...], epsilon: float, rank: int
) -> ITensor:
    centered = ctx.elementwise("SUB", x, reduced(ctx, x, "AVG", axes, True))
    variance = reduced(ctx, ctx.elementwise("PROD", centered, centered), "AVG", axes, True)
    variance = ctx.elementwise("SUM", variance, ctx.scalar(epsilon, DType.FLOAT32, rank))
    return ctx.elementwise("DIV", centered, ctx.unary("SQRT", variance))


def _is_static(shape: Shape) -> bool:
    return all(isinstance(dim, int) for dim in shape)
