"""Operators that hold graphs, as OpenVINO's operators with bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.openvino.body import Body
from fwd_core.ir.ops import control as ops
from fwd_core.plugins.markers import lowering

if TYPE_CHECKING:
    from openvino import Output

    from fwd_core.backends.openvino.context import OpenVINOLowering


@lowering("openvino", ops.If)
def if_(ctx: OpenVINOLowering, op: ops.If) -> tuple[Output, ...]:
    """One body for each branch; sizes that a body cannot read from its inputs are inputs too."""
    then, otherwise = Body(ctx, op.then), Body(ctx, op.otherwise)
    node = ctx.opset.if_op(ctx[op.condition])
    node.set_then_body(then.model())
    node.set_else_body(otherwise.model())
    for value, a, b in zip(op.captured, then.parameters, otherwise.parameters, strict=True):
        node.set_input(ctx[value], a.get_node(), b.get_node())
    for symbol in {**then.symbols, **otherwise.symbols}:
        a, b = (body.symbols.get(symbol) for body in (then, otherwise))
        node.set_input(ctx.symbol(symbol), a and a.get_node(), b and b.get_node())
    pairs = zip(then.results, otherwise.results, strict=True)
    return tuple(node.set_output(a, b) for a, b in pairs)
