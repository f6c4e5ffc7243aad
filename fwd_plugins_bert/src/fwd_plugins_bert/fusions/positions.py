"""Masks that models of dynamic length compute from positions, and that come to nothing.

With static sizes they are constants and gone. With dynamic ones transformers compares positions
with 0, and gathers the mask of padding at all positions in order, for every layer to read a mask
of [batch, 1, length, length] in the place of one of [batch, 1, 1, length].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim, DType, Emitter, Node, Value, is_equal, ops
from fwd_core.ir.dims import bounds
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions.base import Fusion

_FARTHEST = 8
_COMPARISONS = (ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual)
Range = tuple[float, float]


class DecideComparisons(Fusion[bool]):
    """Positions compared with a number, where all of them compare alike, give one truth."""

    name = "bert-positions"

    def find(self, node: Node) -> bool | Refusal | None:
        """Match a comparison of positions whose least and greatest settle it."""
        op = node.op
        if not isinstance(op, _COMPARISONS):
            return None
        a, b = _range(op.a), _range(op.b)
        if a is None or b is None or (op.a.constant is not None and op.b.constant is not None):
            return None
        if isinstance(op, (ops.Greater, ops.GreaterEqual)):
            a, b = b, a  # b > a
        if isinstance(op, (ops.Less, ops.Greater)):
            return True if a[1] < b[0] else False if a[0] >= b[1] else None
        return True if a[1] <= b[0] else False if a[0] > b[1] else None

    def replace(self, found: bool, emit: Emitter) -> Value:
        """That truth everywhere."""
        assert emit.at is not None
        return emit(ops.Full(emit.at.output.type.shape, found, DType.BOOL), "decided")


class DropDecided(Fusion[Value]):
    """``x & true``, ``x | false`` and a choice that is made are one of their operands."""

    name = "bert-decided"

    def find(self, node: Node) -> Value | Refusal | None:
        """Match them where the truth is not a constant, which clean-up looks for."""
        op = node.op
        if isinstance(op, (ops.And, ops.Or)):
            for truth, other in ((op.a, op.b), (op.b, op.a)):
                if _truth(truth) is isinstance(op, ops.And):
                    return other
        if isinstance(op, ops.Where) and (truth_of := _truth(op.condition)) is not None:
            return op.a if truth_of else op.b
        return None

    def replace(self, found: Value, emit: Emitter) -> Value:
        """The operand, as wide as the result."""
        assert emit.at is not None
        wanted = emit.at.output.type
        return found if found.type == wanted else emit(ops.Expand(found, wanted.shape), "wide")


@dataclass(frozen=True)
class Whole:
    """A tensor with axes of size 1 between its own, and then wide."""

    x: Value
    shape: tuple[Dim, ...]


class DropGather(Fusion[Whole]):
    """All elements of a tensor picked in order are the tensor."""

    name = "bert-gather-all"

    def find(self, node: Node) -> Whole | Refusal | None:
        """Match ``GatherND`` at coordinates that each count along an axis of the result."""
        op = node.op
        if not isinstance(op, ops.GatherND) or op.batch_axes:
            return None
        columns = match.made_by(op.indices, ops.Concat)
        rank, result = op.x.type.rank, node.output.type
        if columns is None or len(columns.values) != rank:
            return None
        if columns.axis != op.indices.type.rank - 1 or result.rank != columns.axis:
            return None
        known: list[int] = []
        for column in columns.values:
            axis = _counts_along(column)
            if axis is None and _is_zero(column):  # counts along an axis of one place
                after = known[-1] + 1 if known else 0
                axis = after if result.shape[after : after + 1] == (1,) else None
            if axis is None or (known and axis <= known[-1]):
                return None
            known.append(axis)
        sizes: list[Dim] = [1] * result.rank
        for axis, size in zip(known, op.x.type.shape, strict=True):
            if axis >= result.rank or is_equal(result.shape[axis], size) is not True:
                return Refusal("not all of an axis is picked")
            sizes[axis] = size
        return Whole(op.x, tuple(sizes))

    def replace(self, found: Whole, emit: Emitter) -> Value:
        """The tensor with other axes."""
        assert emit.at is not None
        wanted = emit.at.output.type
        apart = emit(ops.Reshape(found.x, found.shape), "apart")
        return apart if apart.type == wanted else emit(ops.Expand(apart, wanted.shape), "wide")


def plain() -> list[Fusion[Any]]:
    """The rewrites that leave of such masks what they are made of."""
    return [DecideComparisons(), DropDecided(), DropGather()]


def _truth(value: Value) -> bool | None:
    """What a tensor of one truth holds."""
    full = match.made_by(value, ops.Full)
    return bool(full.value) if full is not None and full.dtype is DType.BOOL else None


def _range(value: Value, depth: int = _FARTHEST) -> Range | None:
    """Least and greatest of integers, if they are positions or numbers and cannot wrap."""
    if value.type.dtype not in (DType.INT32, DType.INT64) or depth == 0:
        return None
    known = value.constant
    if known is not None:
        return (float(known.data.min()), float(known.data.max())) if known.data.size else None
    found = _computed_range(value, depth)
    least, greatest = value.type.dtype.limits
    return found if found is not None and least < found[0] and found[1] < greatest else None


def _computed_range(value: Value, depth: int) -> Range | None:
    op = value.producer.op if value.producer is not None else None
    if isinstance(op, ops.Full):
        return (float(op.value), float(op.value))
    if isinstance(op, ops.DimValue):
        return bounds(op.dim)
    if isinstance(op, ops.Arange) and op.start == 0 and op.step == 1:
        return (0.0, float(bounds(op.length)[1]))
    if isinstance(op, ops.Add):
        a = _range(op.a, depth - 1)
        b = None if a is None else a if op.a is op.b else _range(op.b, depth - 1)
        return None if a is None or b is None else (a[0] + b[0], a[1] + b[1])
    if isinstance(op, (ops.Unsqueeze, ops.Squeeze, ops.Reshape, ops.Expand, ops.Cast)):
        return _range(op.x, depth - 1)
    return None


def _is_zero(value: Value, depth: int = _FARTHEST) -> bool:
    """Whether a tensor, however it was widened, is made of one constant 0."""
    op = value.producer.op if value.producer is not None else None
    if isinstance(op, (ops.Unsqueeze, ops.Expand, ops.Cast)):
        return depth > 0 and _is_zero(op.x, depth - 1)
    return value.constant is not None and value.constant.data.size == 1 and match.is_all(value, 0)


def _constant_along(data: NDArray[np.generic]) -> int | None:
    """The axis along which numbers count 0, 1, 2 …, as sizes that are static give them."""
    axes = [axis for axis, size in enumerate(data.shape) if size > 1]
    counts = len(axes) == 1 and np.array_equal(data.ravel(), np.arange(data.size))
    return axes[0] if counts else None


def _counts_along(value: Value, depth: int = _FARTHEST) -> int | None:
    """The axis along which a tensor counts 0, 1, 2 …, the same on all others."""
    op = value.producer.op if value.producer is not None else None
    if depth == 0:
        return None
    if value.constant is not None:
        return _constant_along(value.constant.data)
    if isinstance(op, ops.Arange):
        return 0 if op.start == 0 and op.step == 1 else None
    if isinstance(op, ops.Add):
        for x, other in ((op.a, op.b), (op.b, op.a)):
            if match.number(other) == 0.0 and x.type == value.type:
                return _counts_along(x, depth - 1)
        return None
    if not isinstance(op, (ops.Unsqueeze, ops.Expand, ops.Cast)):
        return None
    axis = _counts_along(op.x, depth - 1)
    if axis is None or isinstance(op, ops.Cast):
        return axis
    if isinstance(op, ops.Unsqueeze):
        kept = [i for i in range(value.type.rank) if i not in op.axes]
        return kept[axis]
    moved = axis + value.type.rank - op.x.type.rank
    same = is_equal(op.x.type.shape[axis], value.type.shape[moved])
    return moved if same is True else None
