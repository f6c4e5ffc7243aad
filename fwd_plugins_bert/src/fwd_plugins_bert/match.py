"""What patterns are made of."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from fwd_core.ir import Operator, Value, ops

Op = TypeVar("Op", bound=Operator)
#: Products and factors that are looked at, which is more than any pattern has.
_MOST_FACTORS = 16


def made_by(value: Value, kind: type[Op]) -> Op | None:
    """The operator that computes a value, if it is of that kind."""
    node = value.producer
    return node.op if node is not None and isinstance(node.op, kind) else None


def number(value: Value) -> float | None:
    """The one number that a constant holds."""
    known = value.constant
    if known is not None:
        # A tensor of one element that would add axes is no number.
        return float(known.numpy().reshape(())) if known.data.ndim == 0 else None
    full = made_by(value, ops.Full)
    return float(full.value) if full is not None and not full.shape else None


def everywhere(value: Value) -> float | None:
    """The number that a tensor holds in all places."""
    full = made_by(value, ops.Full)
    if full is not None:
        return float(full.value)
    known = value.constant
    if known is None or not known.data.size:
        return None
    first = known.numpy().reshape(-1)[0]
    return float(first) if is_all(value, float(first)) else None


def is_all(value: Value, wanted: float) -> bool:
    """Whether a constant is the same number everywhere."""
    known = value.constant
    return known is not None and bool((np.asarray(known.numpy()) == wanted).all())


def times_number(value: Value) -> tuple[Value, float] | None:
    """A product or quotient by a number, as what is multiplied and the factor."""
    product = made_by(value, ops.Mul)
    if product is not None:
        for x, other in ((product.a, product.b), (product.b, product.a)):
            factor = number(other)
            if factor is not None and x.type == value.type:
                return x, factor
    quotient = made_by(value, ops.Div)
    if quotient is not None and (divisor := number(quotient.b)):
        return quotient.a, 1.0 / divisor
    return None


def factors(value: Value, stop: Value | None = None) -> tuple[float, list[Value]]:
    """A product of products as one number and what else is multiplied; ``stop`` is left whole.

    Of a product of more than a pattern has there is nothing to tell: no factors.
    """
    total, pending = 1.0, [value]
    found: list[Value] = []
    for _ in range(_MOST_FACTORS):
        if not pending:
            return total, found
        one = pending.pop()
        if one is stop:
            found.append(one)
        elif (held := number(one)) is not None:
            total *= held
        elif (scaled := times_number(one)) is not None:
            total *= scaled[1]
            pending.append(scaled[0])
        elif (product := made_by(one, ops.Mul)) is not None:
            pending += [product.b, product.a]
        else:
            found.append(one)
    return math.nan, []


def within_product(value: Value) -> list[Value]:
    """All that a product of products multiplies, whole and in parts, as far as patterns go."""
    found: list[Value] = []
    pending = [value]
    while pending and len(found) < _MOST_FACTORS:
        one = pending.pop()
        found.append(one)
        if (product := made_by(one, ops.Mul)) is not None:
            pending += [product.b, product.a]
        elif (quotient := made_by(one, ops.Div)) is not None:
            pending.append(quotient.a)
    return found


def is_read_once(value: Value) -> bool:
    """Whether one node reads a value, and the graph does not give it out."""
    return sum(value.users.values()) == 1 and value not in value.graph.outputs


def is_vector_of(value: Value, whole: Value) -> bool:
    """Whether a constant has one number per element of the last axis of another value."""
    if value.constant is None or value.type.dtype is not whole.type.dtype:
        return False
    return value.type.shape == whole.type.shape[-1:]
