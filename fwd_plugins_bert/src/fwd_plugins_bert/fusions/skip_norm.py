"""A residual sum and its normalization as one operator."""

from __future__ import annotations

from fwd_core.ir import Emitter, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion
from fwd_plugins_bert.ops import SkipNorm


class FuseSkipNorm(Fusion[SkipNorm]):
    """``LayerNorm`` over the last axis of x + skip, or of x + bias + skip."""

    name = "bert-skip-norm"

    def find(self, node: Node) -> SkipNorm | Refusal | None:
        """Match the normalization of a sum of two tensors of one shape."""
        op = node.op
        if not isinstance(op, ops.LayerNorm):
            return None
        total = match.made_by(op.x, ops.Add)
        if total is None:
            return None
        if total.a.type != op.x.type or total.b.type != op.x.type:
            return None  # a bias, or positions that all sequences share
        if op.axes != 1:
            return Refusal("it normalizes more than the last axis")
        if not match.is_read_once(op.x):
            return Refusal("others read the sum, as where norms come first")
        x, skip = total.a, total.b
        if match.made_by(skip, ops.Linear) is not None:
            x, skip = skip, x
        biased = _biased(x)
        if biased is None and (other := _biased(skip)) is not None:
            x, skip, biased = skip, x, other
        x, bias = (x, None) if biased is None else biased
        return SkipNorm(x, skip, bias, op.scale, op.shift, op.epsilon)

    def replace(self, found: SkipNorm, emit: Emitter) -> Value:
        """The operator."""
        return emit(found, "skip_norm")


def _biased(value: Value) -> tuple[Value, Value] | None:
    """A sum with a vector of constants that nothing else reads."""
    total = match.made_by(value, ops.Add)
    if total is None or not match.is_read_once(value):
        return None
    for x, bias in ((total.a, total.b), (total.b, total.a)):
        if x.type == value.type and match.is_vector_of(bias, value):
            return x, bias
    return None
