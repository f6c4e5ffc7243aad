"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.weights import weights
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering


def _dynamic_weight(
    _ctx: TensorRTLowering, op: ops.Convolution | ops.ConvolutionTranspose
) -> str | None:
    """The shape of a convolution's weight must be fixed."""
    if op.weight.type.is_static:
        return None
    return f"a convolution's weight needs a static shape, this one is {op.weight.type}"


@lowering("tensorrt", ops.Convolution, unless=_dynamic_weight)
def convolution(ctx: TensorRTLowering, op: ops.Convolution) -> ITensor:
    """A convolution layer; over one axis it is a convolution over two, of which one has size 1.

    Constant weights are the layer's own; others are further inputs of it.
    """
    flat = op.x.type.rank == 3
    maps, _, *kernel = op.weight.type.static_shape()
    lead = (1,) if flat else ()
    x = ctx.unsqueeze(ctx[op.x], op.x.type.shape, (2,)) if flat else ctx[op.x]
    layer = ctx.add(
        "convolution_nd",
        x,
        maps,
        (*lead, *kernel),
        _held(ctx, op.weight, op.weight),
        _held(ctx, op.bias, op.weight),
        stride_nd=(*lead, *op.stride),
        pre_padding=(*(0 for _ in lead), *op.padding_before),
        post_padding=(*(0 for _ in lead), *op.padding_after),
        dilation_nd=(*lead, *op.dilation),
        num_groups=op.groups,
    )
    if op.weight.constant is None:
        weight, shape = ctx[op.weight], op.weight.type.shape
        ctx.set_input(layer, 1, ctx.unsqueeze(weight, shape, (2,)) if flat else weight)
    if op.bias is not None and op.bias.constant is None:
        ctx.set_input(layer, 2, ctx[op.bias])
    return _squeezed(ctx, ctx.output(layer), op.infer().shape)


@lowering("tensorrt", ops.ConvolutionTranspose, unless=_dynamic_weight)
def convolution_transpose(ctx: TensorRTLowering, op: ops.ConvolutionTranspose) -> ITensor:
    """A deconvolution layer; over one axis it is one over two, of which one has size 1.

    No layer has both strides and dilation, so zeros are put between the kernel's elements. Where
    more is added after than padding cuts, what is missing is filled in, and the bias added last.
    TensorRT-RTX 1.7 has no such layer of bfloat16.
    """
    dtype = op.x.type.dtype
    single = ctx.computed(dtype) == "BF16"
    flat = op.x.type.rank == 3
    lead = (1,) if flat else ()
    shape, kernel = op.infer().shape, op.weight.type.static_shape()[2:]
    spread = any(step > 1 for step in op.stride) and any(rate > 1 for rate in op.dilation)
    after = [p - more for p, more in zip(op.padding, op.output_padding, strict=True)]
    beyond = [min(entry, 0) for entry in after]
    # RTX cannot compile it either with a bias that is no constant.
    apart = op.bias is not None and (any(beyond) or (single and op.bias.constant is None))
    bias = None if apart else op.bias
    known, own = op.weight.constant, None if bias is None else bias.constant
    if known is not None and spread:
        known = _spread(known, op.dilation)
    if single:
        dtype = DType.FLOAT32
        known, own = (None if held is None else held.astype(dtype) for held in (known, own))
    wide = [(k - 1) * rate + 1 for k, rate in zip(kernel, op.dilation, strict=True)]

    def read(value: Value) -> ITensor:
        return ctx.cast(ctx[value], "FLOAT") if single else ctx[value]

    layer = ctx.add(
        "deconvolution_nd",
        ctx.unsqueeze(read(op.x), op.x.type.shape, (2,)) if flat else read(op.x),
        shape[1],
        (*lead, *(wide if spread else kernel)),
        weights(ctx, known, dtype),
        weights(ctx, own, dtype),
        stride_nd=(*lead, *op.stride),
        pre_padding=(*(0 for _ in lead), *op.padding),
        post_padding=(*(0 for _ in lead), *(max(entry, 0) for entry in after)),
        dilation_nd=(*lead, *((1 for _ in kernel) if spread else op.dilation)),
        num_groups=op.groups,
    )
    if known is None:
        weight, held = read(op.weight), op.weight.type.static_shape()
        if spread:
            weight, held = _spread_at_run_time(ctx, weight, held, op.dilation)
        ctx.set_input(layer, 1, ctx.unsqueeze(weight, held, (2,)) if flat else weight)
    if bias is not None and own is None:
        ctx.set_input(layer, 2, read(bias))
    made = (*shape[:2], *(dim + entry for dim, entry in zip(shape[2:], beyond, strict=True)))
    result = _squeezed(ctx, ctx.output(layer), made)
    if any(beyond):
        cuts = {axis: (0, shape[axis], 1) for axis, entry in enumerate(beyond, 2) if entry}
        result = ctx.slice(result, made, cuts, mode="FILL")  # with zeros
    if single:
        result = ctx.cast(result, "BF16")
    if op.bias is None or not apart:
        return result
    column = (1, shape[1], *(1 for _ in kernel))
    held = ctx.reshape(ctx[op.bias], op.bias.type.shape, column)
    return ctx.elementwise("SUM", result, held)


def _squeezed(ctx: TensorRTLowering, result: ITensor, shape: Shape) -> ITensor:
    """A result of this shape, without the axis that layers over two axes have in addition."""
    if len(shape) != 3:
        return result
    return ctx.reshape(result, (*shape[:2], 1, shape[2]), shape)


def _held(ctx: TensorRTLowering, value: Value | None, like: Value) -> object:
    constant = None if value is None else value.constant
    return weights(ctx, constant, like.type.dtype)


def _spread(weight: Tensor, rates: Sequence[int]) -> Tensor:
    """The kernel with zeros between its elements."""
    data = weight.data
    shape = [(k - 1) * rate + 1 for k, rate in zip(data.shape[2:], rates, strict=True)]
    wide = np.zeros((*data.shape[:2], *shape), data.dtype)
    places = (slice(None), slice(None), *(slice(None, None, rate) for rate in rates))
    wide[places] = data
    return Tensor(wide, weight.dtype)


def _spread_at_run_time(
    ctx: TensorRTLowering, weight: ITensor, shape: tuple[int, ...], rates: Sequence[int]
) -> tuple[ITensor, tuple[int, ...]]:
    """The same of a kernel that is no constant, axis by axis: zeros after each element, cut."""
    for axis, rate in enumerate(rates, 2):
        if rate == 1:
            continue
        count = shape[axis]
        column = (*shape[: axis + 1], 1, *shape[axis + 1 :])
        weight = ctx.reshape(weight, shape, column)
        weight = ctx.slice(weight, column, {axis + 1: (0, rate, 1)}, mode="FILL")
        column = (*shape[: axis + 1], rate, *shape[axis + 1 :])
        flat = (*shape[:axis], count * rate, *shape[axis + 1 :])
        weight = ctx.reshape(weight, column, flat)
        reach = (count - 1) * rate + 1
        weight = ctx.slice(weight, flat, {axis: (0, reach, 1)})
        shape = (*shape[:axis], reach, *shape[axis + 1 :])
    return weight, shape
