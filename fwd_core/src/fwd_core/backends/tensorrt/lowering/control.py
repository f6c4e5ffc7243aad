"""Operators that hold graphs, as parts of the network that run on a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.lowering import lower_nodes
from fwd_core.backends.tensorrt.shapes import Sizes
from fwd_core.ir.dims import Symbol
from fwd_core.ir.graph import Graph
from fwd_core.ir.ops import control as ops
from fwd_core.plugins.markers import lowering

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering


def _unless(ctx: TensorRTLowering, op: ops.If) -> str | None:
    """TensorRT-RTX 1.7 compiles no conditional of dynamic sizes inside another."""
    if ctx.features.nested_conditionals:
        return None
    nodes = [node for branch in (op.then, op.otherwise) for node in branch.walk()]
    if not any(isinstance(node.op, ops.If) for node in nodes):
        return None
    values = [value for node in nodes for value in (*node.op.operands(), *node.outputs)]
    if all(value.type.is_static for value in (*values, *op.captured)):
        return None
    return f"{ctx.features.flavour} compiles no conditional of dynamic sizes inside another"


@lowering("tensorrt", ops.If, unless=_unless)
def if_(ctx: TensorRTLowering, op: ops.If) -> tuple[ITensor, ...]:
    """A conditional, which computes one branch; where it cannot be had, both are computed.

    What the branches read of the network around them enters through layers of the conditional,
    sizes too.
    """
    conditional = ctx.network.add_if_conditional()
    ctx.check("if_conditional", conditional)
    ctx.named(conditional.set_condition(ctx[op.condition]), "condition")

    def entered(tensor: ITensor) -> ITensor:
        return ctx.output(ctx.named(conditional.add_input(tensor), "if_input"))

    captured = [entered(ctx[value]) for value in op.captured]
    around = ctx.sizes

    def branch(graph: Graph) -> list[ITensor]:
        def outside(symbol: Symbol) -> ITensor:
            return entered(around.symbol(symbol))

        ctx.sizes = Sizes(ctx, outside)
        for value, tensor in zip(graph.inputs, captured, strict=True):
            ctx.sizes.inputs[value] = ctx[value] = tensor
        lower_nodes(ctx, graph)
        ctx.sizes = around
        results: list[ITensor] = []
        for value in graph.outputs:
            tensor = ctx[value]
            # What a branch gives twice needs a tensor of its own each time.
            taken = tensor in results
            results.append(ctx("identity", tensor) if taken else tensor)
        return results

    pairs = zip(branch(op.then), branch(op.otherwise), strict=True)
    return tuple(ctx.output(ctx.named(conditional.add_output(a, b), "if_output")) for a, b in pairs)
