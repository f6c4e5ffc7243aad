"""GELU and the bias of the product before it as one operator."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from fwd_core.ir import Emitter, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.ops import GeluBias


@dataclass(frozen=True)
class Biased:
    """A GELU of ``linear``, whose bias is to leave it, or of x + bias."""

    gelu: ops.Gelu
    x: Value
    bias: Value
    linear: ops.Linear | None


class FuseGeluBias(Fusion[Biased]):
    """``Gelu`` of a sum with a vector, or of a ``Linear`` with a bias, which loses it."""

    name = "bert-gelu-bias"

    def find(self, node: Node) -> Biased | Refusal | None:
        """Match the activation."""
        op = node.op
        if not isinstance(op, ops.Gelu):
            return None
        linear = match.made_by(op.x, ops.Linear)
        total = match.made_by(op.x, ops.Add)
        found: Biased | None = None
        if linear is not None and linear.bias is not None:
            found = Biased(op, op.x, linear.bias, linear)
        elif total is not None:
            for x, bias in ((total.a, total.b), (total.b, total.a)):
                if x.type == op.x.type and match.is_vector_of(bias, x):
                    found = Biased(op, x, bias, None)
        if found is not None and not match.is_read_once(op.x):
            return Refusal("others read what GELU is taken of")
        return found

    def replace(self, found: Biased, emit: Emitter) -> Value:
        """The operator, of the product without its bias."""
        x = found.x
        if found.linear is not None:
            x = emit(dataclasses.replace(found.linear, bias=None), "linear")
        return emit(GeluBias(x, found.bias, found.gelu.approximate), "gelu_bias")
