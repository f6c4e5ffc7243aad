"""Bring matrix products into the form that backends have the best kernels for."""

from __future__ import annotations

from fwd_core.ir import is_equal, ops
from fwd_core.ir.dims import product as product_of
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Node, Value
from fwd_core.rewrite.base import NodeRewrite


class ReshapeBeforeLinear(NodeRewrite):
    """``Reshape(Linear(Reshape(x)))`` is ``Linear(Reshape(x))`` where only leading axes change.

    Decomposed programs flatten the leading axes before each product and restore them after it;
    moved before the product, the two reshapes become one, or none.
    """

    name = "reshape-before-linear"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match a reshape of a linear that nothing else reads and that reads a reshape."""
        if not isinstance(node.op, ops.Reshape):
            return None
        product = node.op.x
        if product.producer is None or not isinstance(product.producer.op, ops.Linear):
            return None
        linear = product.producer.op
        source = linear.x.producer
        if source is None or not isinstance(source.op, ops.Reshape):
            return None
        if len(product.users) != 1 or product in node.output.graph.outputs:
            return None
        *lead, features = node.op.shape
        if not lead or features != product.type.shape[-1]:
            return None
        shape = (*lead, linear.x.type.shape[-1])
        if is_equal(product_of(shape), linear.x.type.numel) is not True:
            return None  # a product without columns says nothing of its rows
        restored = emit(ops.Reshape(linear.x, shape), "restored")
        return emit(ops.Linear(restored, linear.weight, linear.bias))


class AbsorbTransposes(NodeRewrite):
    """A product of a matrix whose last two axes were swapped reads the matrix as it was."""

    name = "absorb-transposes"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        """Match ``MatMul`` with a swapped operand."""
        op = node.op
        if not isinstance(op, ops.MatMul):
            return None
        a, b = _unswapped(op.a), _unswapped(op.b)
        if a is None and b is None:
            return None
        return emit(
            ops.MatMul(
                op.a if a is None else a,
                op.b if b is None else b,
                op.transpose_a != (a is not None),
                op.transpose_b != (b is not None),
            )
        )


def _unswapped(value: Value) -> Value | None:
    """What was swapped, if the value is a swap of the last two axes."""
    if value.producer is None or not isinstance(value.producer.op, ops.Transpose):
        return None
    op = value.producer.op
    rank = len(op.order)
    swap = (*range(rank - 2), rank - 1, rank - 2)
    return op.x if rank >= 2 and op.order == swap else None
