"""GELU that is written out in elementary operators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from fwd_core.ir import Emitter, Node, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion

#: Of the cubic term, and of the argument of tanh.
_CUBIC, _OF_TANH = 0.044715, math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class WrittenGelu:
    """A GELU in one of its forms."""

    x: Value
    approximate: Literal["none", "tanh"]


class FuseGelu(Fusion[WrittenGelu]):
    """x/2 * (1 + erf(x / sqrt(2))), or with tanh of a cubic polynomial, is ``Gelu``.

    So is x/2 * erfc(-x / sqrt(2)), where erfc is 1 - erf.
    """

    name = "bert-gelu"

    def find(self, node: Node) -> WrittenGelu | Refusal | None:
        """Match the outermost product, in any order of its factors."""
        if not isinstance(node.op, (ops.Mul, ops.Div)):
            return None
        for gate in _gates(node.output):
            found = _of_erf(gate) or _of_tanh(gate)
            if found is None:
                continue
            half, rest = match.factors(node.output, found.x)
            others = [value for value in rest if value is not gate]
            if len(rest) != 2 or len(others) != 1 or others[0] is not found.x:
                continue  # a product inside of it, or one that multiplies it
            if half == 1.0:
                continue  # the half is multiplied after it
            if not math.isclose(half, 0.5, rel_tol=1e-6):
                return Refusal(f"the factor is {half:g}, not 1/2")
            return found
        return None

    def replace(self, found: WrittenGelu, emit: Emitter) -> Value:
        """The operator."""
        return emit(ops.Gelu(found.x, found.approximate), "gelu")


def _gates(product: Value) -> list[Value]:
    """Sums and differences among what is multiplied, not deeper than products go."""
    _, found = match.factors(product)
    return [
        value
        for value in found
        if value.producer is not None and isinstance(value.producer.op, (ops.Add, ops.Sub))
    ]


def _beside_one(gate: Value) -> Value | None:
    total = match.made_by(gate, ops.Add)
    if total is None:
        return None
    for one, other in ((total.a, total.b), (total.b, total.a)):
        if match.number(one) == 1.0:
            return other
    return None


def _of_erf(gate: Value) -> WrittenGelu | None:
    inside, slope = _beside_one(gate), math.sqrt(0.5)
    difference = match.made_by(gate, ops.Sub)
    if difference is not None and match.number(difference.a) == 1.0:
        inside, slope = difference.b, -slope
    erf = None if inside is None else match.made_by(inside, ops.Erf)
    if erf is None:
        return None
    for x, factor in _scaled(erf.x):
        if math.isclose(factor, slope, rel_tol=1e-6):
            return WrittenGelu(x, "none")
    return None


def _scaled(value: Value) -> list[tuple[Value, float]]:
    """What a number and a sign multiply, in either order."""
    found, factor = [], 1.0
    for _ in range(2):
        negated = match.made_by(value, ops.Neg)
        step = match.times_number(value) if negated is None else (negated.x, -1.0)
        if step is None:
            break
        value, factor = step[0], factor * step[1]
        found.append((value, factor))
    return found


def _of_tanh(gate: Value) -> WrittenGelu | None:
    inside = _beside_one(gate)
    tanh = None if inside is None else match.made_by(inside, ops.Tanh)
    if tanh is None:
        return None
    factor, rest = match.factors(tanh.x)
    if not math.isclose(factor, _OF_TANH, rel_tol=1e-6):
        return None
    if len(rest) == 1:  # x + 0.044715 x^3
        total = match.made_by(rest[0], ops.Add)
        if total is not None:
            for x, cubic in ((total.a, total.b), (total.b, total.a)):
                if _is_power(cubic, x, 3):
                    return WrittenGelu(x, "tanh")
    for x in match.within_product(tanh.x):  # x * (1 + 0.044715 x^2)
        _, beside = match.factors(tanh.x, x)
        others = [value for value in beside if value is not x]
        square = _beside_one(others[0]) if len(beside) == 2 and len(others) == 1 else None
        if square is not None and _is_power(square, x, 2):
            return WrittenGelu(x, "tanh")
    return None


def _is_power(value: Value, x: Value, exponent: int) -> bool:
    """Whether a value is 0.044715 times that power of x."""
    factor, rest = match.factors(value, x)
    if not math.isclose(factor, _CUBIC, rel_tol=1e-6):
        return False
    if len(rest) == 1 and (power := match.made_by(rest[0], ops.Pow)) is not None:
        return power.a is x and match.number(power.b) == float(exponent)
    return len(rest) == exponent and all(one is x for one in rest)
