"""Layer normalization that is written out in elementary operators."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from fwd_core.ir import Emitter, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion


@dataclass(frozen=True)
class Standardized:
    """(x - mean) / sqrt(variance + epsilon) over the last axis."""

    x: Value
    epsilon: float


class FuseLayerNorm(Fusion[Standardized]):
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) is ``LayerNorm``.

    The mean of squares may be their sum over how many there are, as ``x.var(unbiased=False)`` is.
    """

    name = "bert-layer-norm"

    def find(self, node: Node) -> Standardized | Refusal | None:
        """Match the quotient, or the product with the reciprocal root."""
        op = node.op
        if isinstance(op, ops.Div):
            return _standardized(op.a, op.b)
        if isinstance(op, ops.Mul):
            for centred, other in ((op.a, op.b), (op.b, op.a)):
                inverse = match.made_by(other, ops.Reciprocal)
                if inverse is not None and (found := _standardized(centred, inverse.x)):
                    return found
        return None

    def replace(self, found: Standardized, emit: Emitter) -> Value:
        """One operator without scale and shift."""
        return emit(ops.LayerNorm(found.x, None, None, 1, found.epsilon), "normalized")


class FuseScaleAndShift(Fusion[ops.LayerNorm]):
    """A normalization times a vector, and plus one, has them as scale and shift."""

    name = "bert-layer-norm-scale"

    def find(self, node: Node) -> ops.LayerNorm | Refusal | None:
        """Match the product or sum with a constant over the normalized axis."""
        op = node.op
        if not isinstance(op, (ops.Mul, ops.Add)):
            return None
        for x, vector in ((op.a, op.b), (op.b, op.a)):
            norm = match.made_by(x, ops.LayerNorm)
            if norm is None or norm.axes != 1 or not match.is_vector_of(vector, x):
                continue
            taken = norm.shift is not None or (isinstance(op, ops.Mul) and norm.scale is not None)
            if taken:
                continue  # an ordinary layer after a whole normalization
            if not match.is_read_once(x):
                return Refusal("others read the normalization without its scale and shift")
            if isinstance(op, ops.Mul):
                return dataclasses.replace(norm, scale=vector)
            return dataclasses.replace(norm, shift=vector)
        return None

    def replace(self, found: ops.LayerNorm, emit: Emitter) -> Value:
        """The normalization with one more parameter."""
        return emit(found, "normalized")


def _standardized(centred: Value, deviation: Value) -> Standardized | Refusal | None:
    root = match.made_by(deviation, ops.Sqrt)
    moved = None if root is None else match.made_by(root.x, ops.Add)
    difference = match.made_by(centred, ops.Sub)
    if moved is None or difference is None:
        return None
    mean = match.made_by(difference.b, ops.ReduceMean)
    if mean is None or mean.x is not difference.a:
        return None
    for spread, small in ((moved.a, moved.b), (moved.b, moved.a)):
        epsilon = match.number(small)
        variance = None if epsilon is None else _mean_of_squares(spread, centred)
        if variance is None or epsilon is None:
            continue
        if isinstance(variance, Refusal):
            return variance
        last = (mean.x.type.rank - 1,)
        if (mean.axes, variance.axes) != (last, last) or not (mean.keepdims and variance.keepdims):
            return Refusal("it normalizes other axes than the last one")
        return Standardized(mean.x, epsilon)
    return None


def _mean_of_squares(
    value: Value, centred: Value
) -> ops.ReduceMean | ops.ReduceSum | Refusal | None:
    mean = match.made_by(value, ops.ReduceMean)
    if mean is not None:
        return mean if _is_square(mean.x, centred) else None
    if (part := match.times_number(value)) is not None:
        total = match.made_by(part[0], ops.ReduceSum)
        if total is None or not _is_square(total.x, centred):
            return None
        count = math.prod(_size(total.x, axis) for axis in total.axes)
        if math.isclose(part[1] * count, 1.0, rel_tol=1e-6):
            return total
        return Refusal(f"squares are divided by {1.0 / part[1]:g}, which is not how many there are")
    difference = match.made_by(value, ops.Sub)
    if difference is None:
        return None
    squares = match.made_by(difference.a, ops.ReduceMean)
    whole = match.made_by(centred, ops.Sub)
    if squares is None or whole is None or not _is_square(squares.x, whole.a):
        return None
    if not _is_square(difference.b, whole.b):
        return None
    return Refusal(
        "its variance is the mean of squares less the square of the mean, which is inexact where "
        "the mean is great, and may be negative"
    )


def _size(value: Value, axis: int) -> float:
    size = value.type.shape[axis]
    return size if isinstance(size, int) else math.nan


def _is_square(value: Value, of: Value) -> bool:
    product = match.made_by(value, ops.Mul)
    if product is not None:
        return product.a is of and product.b is of
    power = match.made_by(value, ops.Pow)
    return power is not None and power.a is of and match.number(power.b) == 2.0
