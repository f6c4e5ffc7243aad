"""How great numbers can become, as far as operators tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fwd_core.ir.graph import Value

if TYPE_CHECKING:
    from fwd_core.ir.ops import linear, normalization

#: Operators between a value and what it is made of.
_FARTHEST = 16
#: Rounding of a sum in float32 makes it less than twice as great.
_ROUNDED = 2.0
#: Below it the squares of what a norm divides may vanish, and nothing holds the quotient.
_LEAST_EPSILON = 1e-30


def magnitude(x: Value) -> float:
    """What no element of a tensor exceeds, infinity if that is not known.

    Known it is of constants, flags, counts and what is normalized, and of what is added,
    multiplied and chosen from them, as masks and scores of positions are.
    """
    return _magnitude(x, _FARTHEST, {})


def _magnitude(x: Value, depth: int, told: dict[Value, float]) -> float:
    if x not in told:  # or sums of sums of one tensor would be asked for exponentially often
        told[x] = _bound(x, depth, told)
    return told[x]


def _bound(x: Value, depth: int, told: dict[Value, float]) -> float:
    known, dtype = x.constant, x.type.dtype
    if known is not None:
        values = known.numpy()
        # No copy of a whole table: both ends of it, and of NaN both are NaN.
        ends = [float(values.min()), float(values.max())] if values.size else [0.0]
        most = max(map(abs, ends))
        return math.inf if math.isnan(most) else most
    if not dtype.is_float:
        return max(abs(float(bound)) for bound in dtype.limits)
    most = _computed(x, depth, told) if depth else math.inf
    # A quarter of a unit in the last place above the greatest number still rounds to it.
    return most if most <= dtype.limits[1] * (1 + 2.0**-26) else math.inf


def _computed(x: Value, depth: int, told: dict[Value, float]) -> float:
    from fwd_core.ir.ops import creation, elementwise, indexing, linear, normalization, shape

    def of(operand: Value) -> float:
        return _magnitude(operand, depth - 1, told)

    op = x.producer.op if x.producer is not None else None
    if isinstance(op, creation.Full):
        return abs(op.value)
    if isinstance(op, (elementwise.Where, elementwise.Add, elementwise.Sub, elementwise.Mul)):
        a, b = of(op.a), of(op.b)
        if isinstance(op, elementwise.Where):
            return max(a, b)
        return _product(a, b) if isinstance(op, elementwise.Mul) else a + b
    if isinstance(op, elementwise.Div):
        return _product(of(op.a), _reciprocal(op.b))
    moves = (shape.Reshape, shape.Squeeze, shape.Unsqueeze, shape.Expand, shape.Transpose)
    picks = (shape.Slice, indexing.Gather, indexing.GatherElements)
    if isinstance(op, (elementwise.Cast, *moves, *picks)):
        return of(op.x)
    if isinstance(op, normalization.LayerNorm):
        return _normalized(op, of)
    if isinstance(op, (linear.Linear, linear.MatMul)) and x.type.dtype.itemsize >= 4:
        return _summed(op, of)
    return math.inf


def _product(*factors: float) -> float:
    return math.prod(factors) if all(map(math.isfinite, factors)) else math.inf


def _reciprocal(divisor: Value) -> float:
    """What no element of 1 / divisor exceeds."""
    known = divisor.constant
    least = 0.0 if known is None else float(np.abs(known.numpy()).min(initial=math.inf))
    return 1.0 / least if least > 0.0 else math.inf  # NaN is not greater


def _normalized(op: normalization.LayerNorm, of: Callable[[Value], float]) -> float:
    """Of n numbers none is more than sqrt(n) standard deviations from the mean."""
    sizes = op.x.type.shape[op.x.type.rank - op.axes :]
    count = math.prod(size if isinstance(size, int) else math.inf for size in sizes)
    if op.epsilon < _LEAST_EPSILON:
        return math.inf
    scale = 1.0 if op.scale is None else of(op.scale)
    shift = 0.0 if op.shift is None else of(op.shift)
    return _product(_ROUNDED, math.sqrt(count), scale) + shift


def _summed(op: linear.Linear | linear.MatMul, of: Callable[[Value], float]) -> float:
    """A product of matrices: of as many terms as rows and columns have."""
    from fwd_core.ir.ops import linear

    if isinstance(op, linear.MatMul):
        count = op.a.type.shape[-2 if op.transpose_a and op.a.type.rank > 1 else -1]
        if not isinstance(count, int):
            return math.inf
        return _product(_ROUNDED, count, of(op.a), of(op.b))
    count = op.x.type.shape[-1]
    bias = 0.0 if op.bias is None else of(op.bias)
    if not isinstance(count, int):
        return math.inf
    return _product(_ROUNDED, count, of(op.x), of(op.weight)) + bias
