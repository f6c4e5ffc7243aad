"""Linear layers that are a product and a sum, as traces of torch before 1.8 have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fwd_core.ir import Emitter, Node, Tensor, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion


@dataclass(frozen=True)
class Parts:
    """x times a weight, [in, out] or turned, plus a bias."""

    x: Value
    weight: Tensor
    turned: bool
    bias: Value


class FuseLinear(Fusion[Parts]):
    """x weight + bias, with constants of rank 2 and 1, is ``Linear``."""

    name = "bert-linear"

    def find(self, node: Node) -> Parts | Refusal | None:
        """Match the sum."""
        if not isinstance(node.op, ops.Add):
            return None
        for value, bias in ((node.op.a, node.op.b), (node.op.b, node.op.a)):
            product = match.made_by(value, ops.MatMul)
            if product is None or product.transpose_a or not value.type.dtype.is_float:
                continue
            weight = product.b.constant
            if weight is None or weight.data.ndim != 2 or not match.is_vector_of(bias, value):
                continue
            if not match.is_read_once(value):
                return Refusal("others read the product without its bias")
            return Parts(product.a, weight, product.transpose_b, bias)
        return None

    def replace(self, found: Parts, emit: Emitter) -> Value:
        """The operator, whose weight is [out, in]."""
        data = found.weight.data if found.turned else np.ascontiguousarray(found.weight.data.T)
        weight = emit.constant(Tensor(data, found.weight.dtype), "weight")
        return emit(ops.Linear(found.x, weight, found.bias), "linear")
