"""Attention that is written out: products around a softmax, with scale and masks between."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fwd_core.ir import DType, Emitter, Node, Tensor, Value, ops
from fwd_core.ir.magnitude import magnitude
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.padding import Padding, padding

#: A score is lost beside numbers below this: in float32 scores to 1e24 are.
_DROWNS = -1e32
#: Scales and masks between a product and its softmax.
_FARTHEST = 8


@dataclass(frozen=True)
class Added:
    """A mask that is added to scores, times a factor; of a bool one ``lowest`` where false.

    ``tokens`` are there where the mask is finite only because they are 0 or 1.
    """

    mask: Value
    factor: float = 1.0
    lowest: float | None = None
    inverted: bool = False
    tokens: Padding | None = None

    def magnitude(self) -> float:
        """What no element exceeds."""
        if self.lowest is not None:
            return abs(self.lowest)
        if self.tokens is not None:
            return abs(self.tokens.added * self.factor)
        most = magnitude(self.mask)
        return most if math.isinf(most) else most * abs(self.factor)


@dataclass(frozen=True)
class WrittenOut:
    """softmax(query key^T * scale + masks) value.

    Operands may have their last two axes ``swapped``; ``nodes`` are all that read them: the
    products, and what multiplies query or key by a number.
    """

    operands: tuple[Value, Value, Value]
    swapped: tuple[bool, bool, bool]
    masks: tuple[Added, ...]
    scale: float
    nodes: tuple[Node, ...]

    def may_empty_rows(self) -> bool:
        """Whether scores may all be minus infinity in a row, of which softmax makes NaN."""
        total = sum(mask.magnitude() for mask in self.masks)
        limit = self.operands[0].type.dtype.limits[1] * (1 + 2.0**-26)
        return bool(self.masks) and not total <= limit

    def mask(self, emit: Emitter) -> Value | None:
        """All masks as one."""
        if len(self.masks) == 1 and self.masks[0].lowest == -math.inf:
            (only,) = self.masks
            return emit(ops.Not(only.mask), "keep") if only.inverted else only.mask
        total: Value | None = None
        for mask in self.masks:
            term = _as_added(emit, mask, self.operands[0])
            total = term if total is None else emit(ops.Add(term, total), "masks")
        return total

    def upright(self, emit: Emitter) -> tuple[Value, ...]:
        """Query, key and value with features as last axis."""
        return tuple(
            emit(ops.Transpose(one, _swap(one.type.rank)), "swapped") if swapped else one
            for one, swapped in zip(self.operands, self.swapped, strict=True)
        )


def written_out(node: Node) -> WrittenOut | Refusal | None:
    """What a product with a softmax is, if it is attention."""
    if not isinstance(node.op, ops.MatMul) or node.op.transpose_a:
        return None
    weights = node.op.a
    softmax = match.made_by(weights, ops.Softmax)
    if softmax is None or softmax.axis != weights.type.rank - 1:
        return None
    found = _Scores(softmax.x)
    if found.product is None:
        return None
    if found.reason is not None:
        return Refusal(found.reason)
    product = found.product
    assert isinstance(product.op, ops.MatMul)
    if not match.is_read_once(weights):
        return Refusal("others read the weights")
    if product.output.type != weights.type:
        return Refusal("a mask widens the scores")
    query, of_query = _unscaled(product.op.a)
    key, of_key = _unscaled(product.op.b)
    if not query.type.rank == key.type.rank == node.op.b.type.rank == weights.type.rank:
        return Refusal("query, key and value have not the same axes")
    return WrittenOut(
        (query, key, node.op.b),
        (product.op.transpose_a, not product.op.transpose_b, node.op.transpose_b),
        tuple(map(_of_tokens, found.masks)),
        found.scale * of_query * of_key,
        (product, node, *_between(product.op.a, query), *_between(product.op.b, key)),
    )


class _Scores:
    """Walks from a softmax to the product of query and key."""

    def __init__(self, value: Value) -> None:
        self.masks: list[Added] = []
        self.scale = 1.0
        self.product: Node | None = None
        self.reason: str | None = None
        step: Value | None = value if _leads_to_product(value) else None
        while step is not None and self.product is None:
            step = self._step(step)

    def _step(self, value: Value) -> Value | None:
        node = value.producer
        if node is None:
            return None
        if isinstance(node.op, ops.MatMul):
            constant = any(one.constant is not None for one in node.op.operands())
            self.product = None if constant else node
            return None
        if (scaled := match.times_number(value)) is not None:
            self.scale *= scaled[1]
            return scaled[0]
        if isinstance(node.op, ops.Add):
            for scores, mask in ((node.op.a, node.op.b), (node.op.b, node.op.a)):
                if _leads_to_product(scores):
                    if not match.is_all(mask, 0.0):
                        self.masks.append(Added(mask, self.scale))
                    return scores
        if isinstance(node.op, ops.Sub) and _leads_to_product(node.op.a):
            self.masks.append(Added(node.op.b, -self.scale))
            return node.op.a
        if isinstance(node.op, ops.Where):
            return self._replaced(node.op)
        return None

    def _replaced(self, op: ops.Where) -> Value | None:
        for scores, instead, inverted in ((op.a, op.b, False), (op.b, op.a, True)):
            lowest = match.number(instead)
            if lowest is None or not _leads_to_product(scores):
                continue
            if lowest * self.scale > _DROWNS:
                self.reason = (
                    f"the mask puts {lowest:g} in the place of scores, and a row without any key "
                    "would differ from one that it is added to"
                )
            self.masks.append(Added(op.condition, 1.0, lowest * self.scale, inverted))
            return scores
        return None


def _leads_to_product(value: Value, depth: int = _FARTHEST) -> bool:
    """Whether scores of two tensors are below, over nothing but scale and masks."""
    op = None if value.producer is None or depth == 0 else value.producer.op
    if isinstance(op, ops.MatMul):
        return op.a.constant is None and op.b.constant is None
    if (scaled := match.times_number(value)) is not None:
        return _leads_to_product(scaled[0], depth - 1)
    if isinstance(op, ops.Sub):
        return _leads_to_product(op.a, depth - 1)
    if isinstance(op, ops.Add):
        return _leads_to_product(op.a, depth - 1) or _leads_to_product(op.b, depth - 1)
    if isinstance(op, ops.Where):
        return any(
            match.number(instead) is not None and _leads_to_product(scores, depth - 1)
            for scores, instead in ((op.a, op.b), (op.b, op.a))
        )
    return False


def _unscaled(value: Value) -> tuple[Value, float]:
    scaled = match.times_number(value)
    return (value, 1.0) if scaled is None else scaled


def _between(scaled: Value, value: Value) -> list[Node]:
    """The node that multiplies a value by a number, if it was taken off."""
    return [] if scaled is value or scaled.producer is None else [scaled.producer]


def _swap(rank: int) -> tuple[int, ...]:
    return (*range(rank - 2), rank - 1, rank - 2)


def _of_tokens(mask: Added) -> Added:
    """The mask, with tokens if nothing else bounds it.

    (1 - mask) * least number, as transformers 4 makes it of integers, would be infinite for most
    integers. Those of a padding mask are 0 or 1, as ``padding`` takes them everywhere.
    """
    if math.isfinite(mask.magnitude()):
        return mask
    found = padding(mask.mask)
    return mask if found is None else replace(mask, tokens=found)


def _as_added(emit: Emitter, mask: Added, like: Value) -> Value:
    dtype = like.type.dtype

    def number(value: float, name: str) -> Value:
        return emit.constant(Tensor(np.array(value, np.float64)).astype(dtype), name)

    def chosen(keep: Value, least: float, inverted: bool) -> Value:
        zero, lowest = number(0.0, "zero"), number(least, "lowest")
        kept, removed = (lowest, zero) if inverted else (zero, lowest)
        return emit(ops.Where(keep, kept, removed), "added")

    if mask.lowest is not None:
        return chosen(mask.mask, mask.lowest, mask.inverted)
    if mask.tokens is not None:
        # A choice between two numbers is seen to be finite by all that asks of the mask again.
        true = emit(ops.Cast(mask.tokens.tokens, DType.BOOL), "flags")
        true = emit(ops.Unsqueeze(true, (1, 2)), "flags")
        return chosen(true, mask.tokens.added * mask.factor, mask.tokens.kept == 0)
    if mask.factor == 1.0:
        return mask.mask
    return emit(ops.Mul(mask.mask, number(mask.factor, "factor")), "added")
