"""Take out operators on tensors that have no elements."""

from __future__ import annotations

from fwd_core.ir import DType, TensorType, ops
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Node, Value
from fwd_core.rewrite.base import NodeRewrite

#: What reducing nothing gives. The extremes of nothing are undefined.
_OF_NOTHING: dict[type[ops.reduction.Reduction], float | bool] = {
    ops.ReduceSum: 0,
    ops.ReduceProd: 1,
    ops.ReduceMean: float("nan"),
    ops.ReduceAny: False,
    ops.ReduceAll: True,
}


class RemoveEmpty(NodeRewrite):
    """Replace what is computed of no elements by what it is: nothing, zeros, or NaN.

    Backends treat tensors with a size of 0 each in their own way: some refuse them, and some
    return memory that nobody has written.
    """

    name = "remove-empty"

    def rewrite(self, node: Node, emit: Emitter) -> Value | tuple[Value, ...] | None:
        """Match results without elements, and sums over axes of size 0."""
        op = node.op
        if isinstance(op, (ops.Constant, ops.Full)):
            return None
        if node.outputs and all(_is_empty(value.type) for value in node.outputs):
            return tuple(_full(emit, value.type, 0) for value in node.outputs)
        if isinstance(op, ops.reduction.Reduction):
            found = _OF_NOTHING.get(type(op))
            return None if found is None or not _is_empty(op.x.type) else _result(node, emit, found)
        if isinstance(op, ops.MatMul):
            return _result(node, emit, 0) if _is_empty(op.a.type) or _is_empty(op.b.type) else None
        if isinstance(op, ops.Linear) and _is_empty(op.weight.type):
            if op.bias is None:
                return _result(node, emit, 0)
            return emit(ops.Expand(op.bias, node.output.type.shape))
        if isinstance(op, ops.Concat):
            return _joined(op, emit)
        return None


def _is_empty(type: TensorType) -> bool:  # noqa: A002 - the field's word
    return 0 in [dim for dim in type.shape if isinstance(dim, int)]


def _full(emit: Emitter, type: TensorType, number: float | bool) -> Value:  # noqa: A002
    if type.dtype is DType.BOOL:
        return emit(ops.Full(type.shape, bool(number), type.dtype))
    value = float(number) if type.dtype.is_float else int(number)
    return emit(ops.Full(type.shape, value, type.dtype))


def _result(node: Node, emit: Emitter, number: float | bool) -> Value:
    return _full(emit, node.output.type, number)


def _joined(op: ops.Concat, emit: Emitter) -> Value | None:
    kept = tuple(value for value in op.values if not _is_empty(value.type))
    return emit(ops.Concat(kept, op.axis)) if 0 < len(kept) < len(op.values) else None
