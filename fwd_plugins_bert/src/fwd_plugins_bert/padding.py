"""Which masks of attention only remove padding, and where they say so.

Kernels that skip padding take the tokens of each sequence, [batch, length], and not what models
make of them for every head and query. This module goes back from the one to the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fwd_core.ir import Value, ops
from fwd_plugins_bert import match

#: What is added to a score so that nothing is left of its weight.
REMOVES = -1000.0
_FARTHEST = 16


@dataclass(frozen=True)
class Padding:
    """What a mask was made of.

    Attributes:
        tokens: [batch, length], bool or integers.
        kept: What ``tokens`` holds where there is a token: 1, or 0 where it marks padding.
        added: What is added to scores of padding; minus infinity where a bool mask removes them.
    """

    tokens: Value
    kept: int
    added: float


def padding(mask: Value) -> Padding | None:
    """The tokens that a mask of attention keeps, if it is the same for all heads and queries.

    Integers are taken to be 0 or 1, as models do that multiply by them. Fusions take them so too
    where a mask would be infinite of other integers.

    Args:
        mask: Broadcasts to [batch, heads, length, length]; bool keeps, float is added.
    """
    if mask.type.rank != 4:
        return None
    walk = _Walk(mask)
    while walk.value.type.rank != 2 or walk.value.type.dtype.is_float:
        if len(walk.steps) > _FARTHEST or not walk.step():
            return None
    if (walk.batch, walk.key) != (0, 1):
        return None
    outcomes = [walk.computed(float(flag)) for flag in (0, 1)]
    if mask.type.dtype.is_float:
        kept = [flag for flag in (0, 1) if outcomes[flag] == 0.0]
        removed = [number for number in outcomes if number < 0.0]
    else:
        kept = [flag for flag in (0, 1) if outcomes[flag]]
        removed = [-math.inf for number in outcomes if not number]
    if len(kept) != 1 or len(removed) != 1:
        return None
    return Padding(walk.value, kept[0], removed[0])


def source(found: Padding) -> tuple[Value, bool]:
    """What a mask was made of in the first place, and whether it marks padding."""
    value, marks = found.tokens, found.kept == 0
    while value.producer is not None:
        op = value.producer.op
        if isinstance(op, (ops.Cast, ops.Not)):
            marks ^= isinstance(op, ops.Not)
            value = op.x
        elif isinstance(op, (ops.Equal, ops.NotEqual)) and match.number(op.b) == 0.0:
            marks ^= isinstance(op, ops.Equal)
            value = op.a
        elif isinstance(op, ops.Where) and {_truth(op.a), _truth(op.b)} == {True, False}:
            marks ^= _truth(op.b) is True
            value = op.condition
        else:
            break
    return value, marks


def _truth(value: Value) -> bool | None:
    """Whether all elements are other than 0, or all are 0; ``None`` where neither is known."""
    if value.producer is not None and isinstance(value.producer.op, ops.Full):
        return bool(value.producer.op.value)
    if value.constant is None:
        return None
    known = value.constant.data != 0
    return True if known.all() else None if known.any() else False


class _Walk:
    """Goes from a mask to what it is computed from, and keeps what was computed."""

    def __init__(self, mask: Value) -> None:
        self.value = mask
        self.batch, self.key = 0, 3
        #: From a flag to the mask's element, the last one first.
        self.steps: list[Callable[[float], float]] = []

    def computed(self, flag: float) -> float:
        """What becomes of an element of the tokens."""
        for step in reversed(self.steps):
            flag = step(flag)
        return flag

    def step(self) -> bool:
        """Go one operator back; whether that could be done."""
        node = self.value.producer
        if node is None:
            return False
        op = node.op
        if isinstance(op, (ops.Reshape, ops.Squeeze, ops.Unsqueeze, ops.Expand)):
            return self._move(op.x)
        found = _elementwise(op, self.value)
        if found is None:
            return False
        self.value, change = found
        self.steps.append(change)
        return True

    def _move(self, x: Value) -> bool:
        """Through a change of shape that only adds or drops axes which are all alike."""
        after, before = self.value.type.shape, x.type.shape
        own = {self.batch, self.key}
        # Axes that count are those of the batch and the keys; a size of 1 may be any of them.
        wide = [axis for axis, size in enumerate(before) if size != 1]
        sizes = [before[axis] for axis in wide]
        mine = [axis for axis in sorted(own) if after[axis] != 1]
        if sizes != [after[axis] for axis in mine]:
            return False
        where = dict(zip(mine, wide, strict=True))
        free = [axis for axis in range(len(before)) if axis not in wide]
        batch = where.get(self.batch, free[0] if free else None)
        key = where.get(self.key, free[-1] if free else None)
        if batch is None or key is None or batch == key:
            return False
        self.batch, self.key, self.value = batch, key, x
        self.steps.append(lambda element: element)
        return True


def _elementwise(op: object, result: Value) -> tuple[Value, Callable[[float], float]] | None:
    if isinstance(op, ops.Cast):
        to_bool = not op.dtype.is_float and op.dtype.limits == (0, 1)
        return op.x, (lambda element: float(element != 0)) if to_bool else (lambda element: element)
    if isinstance(op, ops.Not):
        return op.x, lambda element: float(not element)
    if isinstance(op, ops.Where):
        kept, removed = match.everywhere(op.a), match.everywhere(op.b)
        if kept is None or removed is None or op.condition.type.shape != result.type.shape:
            return None
        return op.condition, lambda element: kept if element else removed
    if isinstance(op, (ops.Equal, ops.NotEqual, ops.Add, ops.Mul, ops.Sub, ops.Div)):
        return _of_number(op, result)
    return None


def _of_number(
    op: ops.Equal | ops.NotEqual | ops.Add | ops.Mul | ops.Sub | ops.Div, result: Value
) -> tuple[Value, Callable[[float], float]] | None:
    a, b = match.number(op.a), match.number(op.b)
    if (a is None) == (b is None):
        return None
    x, other = (op.a, b) if a is None else (op.b, a)
    assert other is not None
    if x.type.shape != result.type.shape:
        return None
    changes: dict[type, Callable[[float], float]] = {
        ops.Equal: lambda element: float(element == other),
        ops.NotEqual: lambda element: float(element != other),
        ops.Add: lambda element: element + other,
        ops.Mul: lambda element: element * other,
        ops.Sub: lambda element: element - other if a is None else other - element,
        ops.Div: lambda element: element / other if a is None else math.nan,
    }
    return x, changes[type(op)]
