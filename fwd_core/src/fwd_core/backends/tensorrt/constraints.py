"""Which operators a weakly typed network (TensorRT 8) is made to compute in float32.

There the types of tensors are wishes: with the flag for half, the builder chooses for each layer.
A layer can be held in float32, but TensorRT 8.6 compiles a part of a network that it hands to its
own compiler (most of a transformer) in one precision: one layer that is held takes all of it to
float32, which is several times slower. So only operators are held whose results would leave the
range of half or lose their digits. Norms, softmax and means are not: their kernels add up in
float32 whatever their own type.
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


def held(node: Node) -> bool:
    """Whether the layers of a node have to compute in float32."""
    operands = tuple(node.op.operands())
    kinds = {value.type.dtype for value in (*operands, *node.outputs)}
    if not operands or DType.FLOAT32 not in kinds or DType.FLOAT16 in kinds:
        return False
    if isinstance(node.op, _ACCUMULATE):
        return False
    return rule_of(node.op) in (Rule.FLOAT32, Rule.ARITHMETIC)
