"""Zeros for what a mask takes every key from, chosen where it costs least, or not at all.

Attention gives zeros where no key is left. Chosen right after it, or in the values before it, that
is a kernel in each layer, since compilers take attention as a whole. If a mask of padding takes
all keys of a sequence, the rows of that sequence are zeros up to the projection that follows, and
zeros after its product. There too it is a kernel in each layer (9 % of an encoder's time on
TensorRT 8.6), for a sequence that is nothing but padding: so it is done if it is asked for, and
else such a sequence has finite numbers that mean nothing.
"""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import dim_facts, ops
from fwd_core.ir.graph import Node, Value
from fwd_core.ir.types import Shape

#: Operators between attention and the projection that follows it, at most.
_STEPS = 8


def are_left(ctx: TensorRTLowering, mask: Value, some: ITensor) -> bool:
    """Whether nothing is to be chosen at the attention, for its result is projected alone.

    Zeros are then chosen behind the projection's product where the compiler takes attention only
    as it is, and nowhere if any numbers will do.

    Args:
        ctx: The context, at the attention.
        mask: Of the attention; only one that is the same for all heads and queries can wait.
        some: Which sequences keep a key: bool [batch or 1, 1, …, 1], of the scores' rank.
    """
    if ctx.exact_padding and not ctx.features.plain_attention:
        return False
    assert ctx.node is not None
    rank = ctx.node.output.type.rank
    lead: Shape = (1,) * (rank - mask.type.rank)
    batch, *rest, _ = (*lead, *mask.type.shape)
    projection = None if any(dim != 1 for dim in rest) else _projection(ctx.node)
    if projection is None:
        return False
    if ctx.exact_padding:
        ctx.memo["empty rows", projection] = some, (batch, *rest, 1)
    return True


def choose(ctx: TensorRTLowering, op: ops.Linear, product: ITensor, rank: int) -> ITensor:
    """The product of a projection, with the zeros that were left to it."""
    if ("empty rows", ctx.node) not in ctx.memo:
        return product
    some, shape = ctx.memo["empty rows", ctx.node]
    some = ctx.reshape(some, shape, (shape[0], *(1,) * (rank - 1)))
    return ctx("select", some, product, ctx.scalar(0.0, op.x.type.dtype, rank))


def _projection(node: Node) -> Node | None:
    value = node.output
    for _ in range(_STEPS):
        if len(value.users) != 1 or value in value.graph.outputs:
            return None
        (node,) = value.users
        op = node.op
        if isinstance(op, ops.Linear):
            return node if op.x is value and op.weight is not value else None
        keeps = (
            isinstance(op, ops.Quantize | ops.Dequantize | ops.Cast)
            or (isinstance(op, ops.Transpose) and op.order[0] == 0)
            or (isinstance(op, ops.Reshape) and _keeps_batch(op))
        )
        if not keeps or node.outputs[0].type.rank < 2:
            return None
        value = node.output
    return None


def _keeps_batch(op: ops.Reshape) -> bool:
    return bool(op.shape) and dim_facts.is_equal(op.x.type.shape[0], op.shape[0]) is True
