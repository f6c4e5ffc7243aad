"""How great numbers can become, as far as operators tell."""

from __future__ import annotations

import math

import numpy as np

from fwd_core.ir.graph import Value

#: Operators between a value and what it is made of.
_FARTHEST = 12


def magnitude(x: Value) -> float:
    """What no element of a tensor exceeds, infinity if that is not known.

    Known it is of constants, flags and counts, and of what is added, multiplied and chosen from
    them, as masks are.
    """
    return _magnitude(x, _FARTHEST, {})


def _magnitude(x: Value, depth: int, told: dict[Value, float]) -> float:
    if x not in told:  # or sums of sums of one tensor would be asked for exponentially often
        told[x] = _bound(x, depth, told)
    return told[x]


def _bound(x: Value, depth: int, told: dict[Value, float]) -> float:
    known, dtype = x.constant, x.type.dtype
    if known is not None:
        most = float(np.abs(known.numpy().astype(np.float64)).max(initial=0.0))
        return math.inf if math.isnan(most) else most
    if not dtype.is_float:
        return max(abs(float(bound)) for bound in dtype.limits)
    most = _computed(x, depth, told) if depth else math.inf
    # A quarter of a unit in the last place above the greatest number still rounds to it.
    return most if most <= dtype.limits[1] * (1 + 2.0**-26) else math.inf


def _computed(x: Value, depth: int, told: dict[Value, float]) -> float:
    from fwd_core.ir.ops import creation, elementwise, indexing, shape

    op = x.producer.op if x.producer is not None else None
    if isinstance(op, creation.Full):
        return abs(op.value)
    if isinstance(op, (elementwise.Where, elementwise.Add, elementwise.Sub, elementwise.Mul)):
        a, b = (_magnitude(one, depth - 1, told) for one in (op.a, op.b))
        if isinstance(op, elementwise.Where):
            return max(a, b)
        if isinstance(op, elementwise.Mul):
            return a * b if math.isfinite(a) and math.isfinite(b) else math.inf
        return a + b
    moves = (shape.Reshape, shape.Squeeze, shape.Unsqueeze, shape.Expand, shape.Transpose)
    picks = (shape.Slice, indexing.Gather, indexing.GatherElements)
    if isinstance(op, (elementwise.Cast, *moves, *picks)):
        return _magnitude(op.x, depth - 1, told)
    return math.inf
