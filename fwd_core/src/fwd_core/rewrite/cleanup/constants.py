"""Compute what depends on constants only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Node, Value
from fwd_core.ir.tensor import Tensor
from fwd_core.rewrite.base import NodeRewrite

#: A result that is larger than its operands is kept as an operator beyond so many bytes.
GROWTH_LIMIT = 1 << 16


class FoldConstants(NodeRewrite):
    """Replace movements and casts of constants, and sizes that are known, by constants.

    Importers already compute what their framework can; this takes care of what rewrites leave.
    Weights are quantized too, so that files and backends hold them in 8 bits; what dequantizes
    them stays.
    """

    name = "fold-constants"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match operators whose operands are all constants."""
        op = node.op
        if isinstance(op, ops.DimValue):
            if not isinstance(op.dim, int):
                return None
            return emit.constant(Tensor(np.array(op.dim, op.dtype.storage), op.dtype))
        operands = [value.constant for value in op.operands()]
        tensors = [tensor for tensor in operands if tensor is not None]
        if not tensors or len(tensors) != len(operands) or len(node.outputs) != 1:
            return None
        size = node.output.type.numel
        if not isinstance(size, int):
            return None
        grown = size * node.output.type.dtype.itemsize
        if grown > max(GROWTH_LIMIT, sum(tensor.nbytes for tensor in tensors)):
            return None
        result = _computed(node, tensors)
        return None if result is None else emit.constant(result)


def _computed(node: Node, tensors: list[Tensor]) -> Tensor | None:
    op, first = node.op, tensors[0]
    if isinstance(op, ops.Cast):
        return None if first.dtype.is_float and not op.dtype.is_float else first.astype(op.dtype)
    shape = node.output.type.static_shape() if node.output.type.is_static else None
    if shape is None:
        return None
    if isinstance(op, ops.Quantize):
        return _quantized(op)
    data: NDArray[np.generic] = first.data
    if isinstance(op, (ops.Reshape, ops.Squeeze, ops.Unsqueeze)):
        return Tensor(data.reshape(shape), first.dtype)
    if isinstance(op, ops.Transpose):
        return Tensor(data.transpose(op.order), first.dtype)
    if isinstance(op, ops.Expand):
        return Tensor(np.broadcast_to(data, shape), first.dtype)
    if isinstance(op, ops.Concat):
        joined = np.concatenate([tensor.data for tensor in tensors], axis=op.axis)
        return Tensor(joined, first.dtype)
    if isinstance(op, ops.Slice) and isinstance(op.start, int):
        picked = op.start + op.step * np.arange(shape[op.axis])
        return Tensor(np.take(data, picked, axis=op.axis), first.dtype)
    return None


def _quantized(op: ops.Quantize) -> Tensor | None:
    x, scale = op.x.constant, op.scale.constant
    zero = None if op.zero_point is None else op.zero_point.constant
    if x is None or scale is None:
        return None
    numbers = x.astype(DType.FLOAT32).numpy().astype(np.float32)
    if np.isnan(numbers).any():
        return None  # what integer a NaN becomes is the backend's
    along = None if op.axis is None else (-1, *(1,) * (numbers.ndim - op.axis - 1))

    def spread(tensor: Tensor) -> NDArray[np.float32]:
        data = tensor.numpy().astype(np.float32)
        return data if along is None else data.reshape(along)

    with np.errstate(over="ignore"):
        made = np.rint(numbers / spread(scale))
    if zero is not None:
        made = made + spread(zero)
    return Tensor(np.clip(made, op.low, op.high).astype(op.dtype.storage), op.dtype)
