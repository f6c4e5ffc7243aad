"""Tensors that are made from nothing but attributes and sizes."""

from __future__ import annotations

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import ops
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor
from fwd_core.plugins.markers import lowering


@lowering("tensorrt", ops.Constant)
def constant(_ctx: TensorRTLowering, _op: ops.Constant) -> None:
    """Nothing yet: the context makes the layer when the value is first read as a tensor."""


@lowering("tensorrt", ops.DimValue)
def dim_value(ctx: TensorRTLowering, op: ops.DimValue) -> ITensor:
    """A size as a tensor."""
    return size(ctx, op.dim, op.dtype, 0)


@lowering("tensorrt", ops.Full)
def full(ctx: TensorRTLowering, op: ops.Full) -> ITensor:
    """One number, repeated."""
    return filled(ctx, op.value, op.dtype, op.shape)


@lowering("tensorrt", ops.Arange)
def arange(ctx: TensorRTLowering, op: ops.Arange) -> ITensor:
    """Numbers in equal steps: a constant where all is known, else a filled tensor."""
    return steps(ctx, op.length, op.start, op.step, op.dtype)


def steps(
    ctx: TensorRTLowering, length: Dim, start: Dim | float, step: Dim | float, dtype: DType
) -> ITensor:
    """``length`` numbers: start, start + step, …."""
    plain = isinstance(start, (int, float)) and isinstance(step, (int, float))
    if isinstance(length, int) and plain:
        wide = DType.FLOAT64 if dtype.is_float else DType.INT64
        places = np.arange(length).astype(wide.storage)
        numbers = np.asarray(start, wide.storage) + np.asarray(step, wide.storage) * places
        return ctx.constant(Tensor(numbers).astype(dtype))
    # Filled tensors are int32, int64 or float32.
    name = "FLOAT" if dtype.is_float else ctx.computed(dtype)
    computed = DType.FLOAT32 if dtype.is_float else dtype
    operation = ctx.trt.FillOperation.LINSPACE
    known = (length,) if isinstance(length, int) else (0,)
    if ctx.features.typed_fill:
        layer = ctx.add("fill", known, operation, ctx.datatype(name))
    else:
        layer = ctx.add("fill", known, operation)
        layer.set_output_type(0, ctx.datatype(name))
        ctx.check("fill.set_output_type")
    if not isinstance(length, int):
        ctx.set_input(layer, 0, ctx.sizes.shape([length]))
    for index, number, rank in ((1, start, 0), (2, step, 1)):
        tensor = (
            ctx.scalar(number, computed, rank)
            if isinstance(number, (int, float))
            else size(ctx, number, computed, rank)
        )
        ctx.set_input(layer, index, tensor)
    result = ctx.output(layer)
    wanted = ctx.computed(dtype)
    return result if wanted == name else ctx.cast(result, wanted)


def filled(
    ctx: TensorRTLowering, value: float | bool, dtype: DType, shape: tuple[Dim, ...]
) -> ITensor:
    """A tensor with one number everywhere: held once, read with a step of 0."""
    one = ctx.scalar(value, dtype, len(shape))
    if not shape:
        return one
    return ctx.slice(one, (1,) * len(shape), {axis: (0, dim, 0) for axis, dim in enumerate(shape)})


def size(ctx: TensorRTLowering, dim: Dim, dtype: DType, rank: int) -> ITensor:
    """A size as a tensor of one element, of a rank and an element type."""
    tensor = ctx.reshape(ctx.sizes[dim], (1,), (1,) * rank)
    name = ctx.computed(dtype)
    return tensor if name == ctx.computed(ctx.sizes.dtype) else ctx.cast(tensor, name)
