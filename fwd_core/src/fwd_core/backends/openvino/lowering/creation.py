"""Operators that make tensors from attributes and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fwd_core.backends.openvino import integers
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.backends.openvino.types import computed, element_type
from fwd_core.ir.dims import Dim, DimExpr
from fwd_core.ir.dtypes import DType
from fwd_core.ir.ops import creation as ops
from fwd_core.ir.tensor import Tensor
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


@lowering("openvino", ops.Constant)
def constant(ctx: OpenVINOLowering, op: ops.Constant) -> Output:
    """A constant over the graph's own memory."""
    return ctx.tensor(ctx.graph.constants[op.digest])


@lowering("openvino", ops.DimValue)
def dim_value(ctx: OpenVINOLowering, op: ops.DimValue) -> Output:
    """The size as OpenVINO reads it from an input's shape."""
    return _size(ctx, op.dim, op.dtype)


@lowering("openvino", ops.Full)
def full(ctx: OpenVINOLowering, op: ops.Full) -> Output:
    """One number, broadcast."""
    value = ctx.tensor(Tensor(np.array(op.value)).astype(op.dtype))
    return ctx.opset.broadcast(value, ctx.vector(op.shape)).output(0) if op.shape else value


@lowering("openvino", ops.Arange)
def arange(ctx: OpenVINOLowering, op: ops.Arange) -> Output:
    """A constant where the length is fixed; else start + step * (0, 1, …)."""
    if not (
        isinstance(op.length, DimExpr)
        or isinstance(op.start, DimExpr)
        or isinstance(op.step, DimExpr)
    ):
        values = op.start + op.step * np.arange(op.length)
        return ctx.tensor(Tensor(values).astype(op.dtype))
    opset = ctx.opset
    counted = opset.range(ctx.scalar(0), ctx.scalar(op.length), ctx.scalar(1), "i64")
    counted = opset.convert(counted, element_type(computed(op.dtype)))
    result = opset.multiply(counted, _size(ctx, op.step, op.dtype))
    result = opset.add(result, _size(ctx, op.start, op.dtype)).output(0)
    return integers.wrapped(opset, result, op.dtype)


def _size(ctx: OpenVINOLowering, dim: Dim | float, dtype: DType) -> Output:
    if isinstance(dim, (int, float)):
        return ctx.number(dim, dtype)
    return ctx.opset.convert(ctx.scalar(dim), element_type(computed(dtype))).output(0)
