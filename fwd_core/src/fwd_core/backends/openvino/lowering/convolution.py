"""Convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dims import bounds
from fwd_core.ir.ops import convolution as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


def weight_of_dynamic_shape(
    _ctx: OpenVINOLowering, op: ops.Convolution | ops.ConvolutionTranspose
) -> str | None:
    """OpenVINO chooses a kernel by the weight's shape when it compiles."""
    if op.weight.type.is_static:
        return None
    return f"the weight's shape must be fixed, but is {list(op.weight.type.shape)}"


@lowering("openvino", ops.Convolution, unless=weight_of_dynamic_shape)
def convolution(ctx: OpenVINOLowering, op: ops.Convolution) -> Output:
    """Convolution, or GroupConvolution with the groups as the weight's first axis; then Add."""
    maps, channels, *kernel = op.weight.type.static_shape()
    # A single element has no distances, and OpenVINO 2026 reads beyond a kernel that has them.
    dilation = [1 if size == 1 else step for size, step in zip(kernel, op.dilation, strict=True)]
    geometry = [*map(list, (op.stride, op.padding_before, op.padding_after)), dilation]
    x = ctx[op.x]
    if op.groups == 1 and _may_be_one_column(op):
        # One more column, which is dropped: the kernel is right for two.
        stride, before, after, rates = geometry
        after = [*after[:-1], after[-1] + stride[-1]]
        wider = ctx.opset.convolution(x, ctx[op.weight], stride, before, after, rates)
        start, stop, step, axis = (ctx.vector([n]) for n in (0, -1, 1, len(kernel) + 1))
        result = ctx.opset.slice(wider, start, stop, step, axis)
    elif op.groups == 1:
        result = ctx.opset.convolution(x, ctx[op.weight], *geometry)
    else:
        grouped = (op.groups, maps // op.groups, channels, *kernel)
        result = ctx.opset.group_convolution(x, ctx.reshaped(op.weight, grouped), *geometry)
    if op.bias is not None:
        bias = ctx.reshaped(op.bias, (1, maps, *(1 for _ in kernel)))
        result = ctx.opset.add(result, bias)
    return result.output(0)


def _may_be_one_column(op: ops.Convolution) -> bool:
    """Whether OpenVINO 2026.4 errs on CPUs with AVX-512, where its kernel for one channel is wrong.

    It steps over the last axis, and the result is one element wide.
    """
    one_channel = op.groups == 1 and op.weight.type.shape[1] == 1
    return one_channel and op.stride[-1] > 1 and bounds(op.infer().shape[-1])[0] == 1


@lowering("openvino", ops.ConvolutionTranspose, unless=weight_of_dynamic_shape)
def convolution_transpose(ctx: OpenVINOLowering, op: ops.ConvolutionTranspose) -> Output:
    """ConvolutionBackpropData, or GroupConvolutionBackpropData with the groups first; then Add."""
    channels, maps, *kernel = op.weight.type.static_shape()
    dilation = [1 if size == 1 else step for size, step in zip(kernel, op.dilation, strict=True)]
    geometry = {
        "strides": list(op.stride),
        "pads_begin": list(op.padding),
        "pads_end": list(op.padding),
        "dilations": dilation,
        "output_padding": list(op.output_padding),
    }
    x = ctx[op.x]
    if op.groups == 1:
        result = ctx.opset.convolution_backprop_data(x, ctx[op.weight], **geometry)
    else:
        grouped = ctx.reshaped(op.weight, (op.groups, channels // op.groups, maps, *kernel))
        result = ctx.opset.group_convolution_backprop_data(x, grouped, **geometry)
    if op.bias is not None:
        bias = ctx.reshaped(op.bias, (1, maps * op.groups, *(1 for _ in kernel)))
        result = ctx.opset.add(result, bias)
    return result.output(0)
