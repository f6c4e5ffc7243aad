"""Sums of products over labelled axes: what einsum means, for all converters that can say it so.

An operand is a value and one label per axis. Axes of size 1 are taken away first and have no label
any more: everything stretches along them, as torch's broadcasting does.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from fwd_core.ir import Dim, DType, Value, ops
from fwd_core.ir.dims import product
from fwd_ops_torch.converting import ConversionContext

Labels = tuple[Hashable, ...]


@dataclass(frozen=True)
class Operand:
    """A value whose axes have labels, each once."""

    value: Value
    labels: Labels

    def size(self, label: Hashable) -> Dim:
        """The size of an axis; 1 for one that it does not have."""
        return self.value.type.shape[self.labels.index(label)] if label in self.labels else 1


def contract(
    ctx: ConversionContext,
    operands: Sequence[Operand],
    out: Labels,
    path: Sequence[int] | None = None,
    *,
    widen: bool = True,
) -> Value:
    """Products of all operands, summed over the labels that ``out`` lacks.

    Args:
        ctx: Adds the operators.
        operands: What is multiplied; dtypes are promoted where nothing is summed, as torch does.
        out: Labels of the result; those that no operand has become axes of size 1.
        path: Pairs of operands in the order to multiply; by default from the left.
        widen: Sum integers in int64, as torch's ``sum`` does.
    """
    if len(operands) == 1 and widen and set(operands[0].labels) - set(out):
        # torch sums a single operand, if only over axes of size 1
        operands = [_widened(ctx, operands[0])]
    held = [_squeezed(ctx, operand) for operand in operands]
    counts: dict[Hashable, int] = {}
    for operand in held:
        for label in operand.labels:
            counts[label] = counts.get(label, 0) + 1
    steps = list(path) if path is not None else [0, 1] * (len(held) - 1)
    while len(held) > 1:
        first, second = sorted((steps.pop(0), steps.pop(0)))
        b, a = held.pop(second), held.pop(first)
        summed = {label for label in (*a.labels, *b.labels) if label not in out}
        inner = {label for label in summed if label in a.labels and label in b.labels}
        inner = {label for label in inner if counts[label] == 2}
        alone = {label for label in summed if counts[label] == 1}
        a, b = (_summed(ctx, operand, alone, widen) for operand in (a, b))
        for label in set(a.labels) & set(b.labels):
            counts[label] -= 1
        made = _pair(ctx, a, b, inner, out)
        held.insert(len(held) if path is not None else 0, made)
    rest = {label for label in held[0].labels if label not in out}
    return arranged(ctx, _summed(ctx, held[0], rest, widen), out)


def arranged(ctx: ConversionContext, operand: Operand, labels: Labels) -> Value:
    """The operand with these axes; those that it has not have size 1."""
    present = tuple(label for label in labels if label in operand.labels)
    value = _transposed(ctx, operand, present).value
    missing = tuple(axis for axis, label in enumerate(labels) if label not in present)
    return ctx.emit(ops.Unsqueeze(value, missing)) if missing else value


def _squeezed(ctx: ConversionContext, operand: Operand) -> Operand:
    shape = operand.value.type.shape
    ones = tuple(axis for axis, dim in enumerate(shape) if dim == 1)
    if not ones:
        return operand
    kept = tuple(label for axis, label in enumerate(operand.labels) if axis not in ones)
    return Operand(ctx.emit(ops.Squeeze(operand.value, ones)), kept)


def _summed(
    ctx: ConversionContext, operand: Operand, labels: set[Hashable], widen: bool
) -> Operand:
    axes = tuple(axis for axis, label in enumerate(operand.labels) if label in labels)
    if not axes:
        return operand
    value = (_widened(ctx, operand) if widen else operand).value
    kept = tuple(label for label in operand.labels if label not in labels)
    return Operand(ctx.emit(ops.ReduceSum(value, axes)), kept)


def _widened(ctx: ConversionContext, operand: Operand) -> Operand:
    """Integers and bool as int64, as torch's ``sum`` makes them."""
    if operand.value.type.dtype.is_float:
        return operand
    return Operand(ctx.cast(operand.value, DType.INT64), operand.labels)


def _pair(
    ctx: ConversionContext, a: Operand, b: Operand, inner: set[Hashable], out: Labels
) -> Operand:
    """The product of two, summed over ``inner``, which both have."""
    shared = [label for label in a.labels if label in b.labels]
    for label in shared:
        ctx.require_equal("sizes of one axis", a.size(label), b.size(label))
    ranks = {label: rank for rank, label in enumerate(out)}
    batch = [label for label in shared if label not in inner]
    batch.sort(key=lambda label: ranks.get(label, len(ranks)))
    if not inner:
        rest = [label for label in (*a.labels, *b.labels) if label not in shared]
        union = (*batch, *rest)
        left, right = ctx.promote(arranged(ctx, a, union), arranged(ctx, b, union))
        is_bool = left.type.dtype is DType.BOOL
        return Operand(ctx.emit(ops.And(left, right) if is_bool else ops.Mul(left, right)), union)
    depth = tuple(label for label in a.labels if label in inner)
    rows = tuple(label for label in a.labels if label not in shared)
    columns = tuple(label for label in b.labels if label not in shared)
    left, transposed_a = _matrix(ctx, a, tuple(batch), rows, depth)
    right, transposed_b = _matrix(ctx, b, tuple(batch), columns, depth)
    made = ctx.emit(ops.MatMul(left, right, transpose_a=transposed_a, transpose_b=not transposed_b))
    labels = (*batch, *rows, *columns)
    sizes = [a.size(label) if label in a.labels else b.size(label) for label in labels]
    return Operand(_reshaped(ctx, made, tuple(sizes)), labels)


def _matrix(
    ctx: ConversionContext, operand: Operand, batch: Labels, free: Labels, depth: Labels
) -> tuple[Value, bool]:
    """The operand as [*batch, free, depth], or with the last two swapped if it lies so."""
    swapped = operand.labels == (*batch, *depth, *free) and bool(free)
    groups = (depth, free) if swapped else (free, depth)
    ordered = _transposed(ctx, operand, (*batch, *groups[0], *groups[1]))
    sizes = [product(operand.size(label) for label in group) for group in groups]
    shape = (*(operand.size(label) for label in batch), *sizes)
    return _reshaped(ctx, ordered.value, shape), swapped


def _transposed(ctx: ConversionContext, operand: Operand, labels: Labels) -> Operand:
    if operand.labels == labels:
        return operand
    order = tuple(operand.labels.index(label) for label in labels)
    return Operand(ctx.emit(ops.Transpose(operand.value, order)), labels)


def _reshaped(ctx: ConversionContext, value: Value, shape: tuple[Dim, ...]) -> Value:
    return value if value.type.shape == shape else ctx.emit(ops.Reshape(value, shape))
