"""What the layers of a weakly typed network (TensorRT 8) ask to compute in.

There the types of tensors are wishes: with the flag for half, the builder chooses for each layer,
and obeys a layer that asks. Every layer asks, for what its operator has in the graph: TensorRT
8.6 compiles a part of a network that it hands to its own compiler (most of a transformer) in one
precision if few of its layers ask, and one that asks for float32 alone takes all of it there,
which is ten times slower. Norms, softmax and means ask for half in any case: their kernels add
up in float32 whatever their own type, and tensors of half take half the time to move.
Convolutions ask for nothing, and neither do means over all pixels: one that asked for half had a
cast to an output of float32 behind it, a kernel of its own. Squares that a composed norm adds up
ask for float32.

Where there are tensors of 8 bits, attention asks for half, which has a kernel of its own then, and
else layers ask for float32 alone: the compiler for transformers finds no kernels for a part of
which norms ask for half, and is slower where more layers than attention do. And there what only
moves numbers asks for nothing, unless they come from an input or what made them did ask.
"""

from __future__ import annotations

from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Node
from fwd_core.ir.operator import Operator
from fwd_core.rewrite.precision.rules import Rule, rule_of

#: In float32 by the table of precisions, but safe in kernels of half.
_ACCUMULATE: tuple[type[Operator], ...] = (
    ops.LayerNorm,
    ops.GroupNorm,
    ops.Softmax,
    ops.ReduceMean,
    ops.AdaptiveAveragePool,
)
#: Layers that have no kernels of half for some groups and dilations, and are no part of a
#: transformer: TensorRT takes half for them where it can.
_CHOSEN: tuple[type[Operator], ...] = (ops.Convolution, ops.ConvolutionTranspose)
#: Positions in half are off by elements of large images.
_PLACED: tuple[type[Operator], ...] = (ops.Resize,)


def asked(
    node: Node, *, wide: bool = False, squares: bool = False, bytewise: bool = False
) -> DType | None:
    """What the layers of a node ask to compute in.

    Args:
        node: The node, of a graph that was turned to half.
        wide: Whether the lowering wants float32 for the layer at hand.
        squares: Whether the layer is one of those that a norm is composed of: squares of what
            half can hold are beyond it.
        bytewise: Whether there are tensors of 8 bits in the graph.

    Returns:
        ``float16`` or ``float32``; ``None`` for what TensorRT is to choose: convolutions, and
        layers that read or make tensors of 8 bits or come right after one, whose kernels are
        neither. Beside tensors of 8 bits ``float16`` for attention alone.
    """
    wanted = DType.FLOAT32 if squares else _asked(node, wide)
    if not bytewise or wanted is None:
        return wanted
    if not (wide or squares) and not _is_made_in_float32(node):
        return None
    is_attention = isinstance(node.op, ops.Attention)
    return None if wanted is DType.FLOAT16 and not is_attention else wanted


def _is_made_in_float32(node: Node) -> bool:
    """Whether a node computes, or moves what comes in or what another asks float32 for."""
    front, seen = [node], {node}
    while front:
        one = front.pop()
        if rule_of(one.op) is not Rule.FOLLOW:
            return True
        for value in one.op.operands():
            if not value.type.dtype.is_float or value.constant is not None:
                continue
            maker = value.producer
            if maker is None:
                return True
            if maker not in seen and _asked(maker, wide=False) is DType.FLOAT32:
                front.append(maker)
            seen.add(maker)
    return False


def _asked(node: Node, wide: bool) -> DType | None:
    operands = tuple(node.op.operands())
    makers = [value.producer for value in operands if value.producer is not None]
    users = [user.op for value in node.outputs for user in value.users]
    if isinstance(node.op, _CHOSEN) or _is_pooling(node.op):
        return None
    if any(map(_reads_bytes, (node, *makers))) or any(isinstance(u, ops.Quantize) for u in users):
        return None
    kinds = {value.type.dtype for value in (*operands, *node.outputs)}
    if isinstance(node.op, _PLACED) and kinds & {DType.FLOAT32, DType.FLOAT16}:
        return DType.FLOAT32
    if isinstance(node.op, _ACCUMULATE) and kinds & {DType.FLOAT32, DType.FLOAT16}:
        return DType.FLOAT16
    if DType.FLOAT16 in kinds:
        return DType.FLOAT32 if wide else DType.FLOAT16
    return DType.FLOAT32 if DType.FLOAT32 in kinds else None


def _is_pooling(op: Operator) -> bool:
    """Whether it averages images: no part of a norm."""
    if isinstance(op, ops.AdaptiveAveragePool):
        return True
    rank = op.x.type.rank if isinstance(op, ops.ReduceMean) else 0
    return isinstance(op, ops.ReduceMean) and rank > 3 and op.axes == tuple(range(2, rank))


def _reads_bytes(node: Node) -> bool:
    makers = (value.producer for value in node.op.operands())
    return any(maker is not None and isinstance(maker.op, ops.Dequantize) for maker in makers)
