"""Where values keep batch and position: by how they are computed, not by how large they are.

Sizes are no proof: a model of 4 heads and 4 tokens has both. So the two axes are followed from
the inputs through what moves them, and what is not followed is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from fwd_core.ir import Dim, Node, Value, is_equal, ops
from fwd_core.ir.dims import product

#: Each element by itself, of operands that broadcast.
ELEMENTS = (
    ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Pow, ops.Maximum, ops.Minimum, ops.Where,
    ops.Cast, ops.Clamp, ops.Abs, ops.Neg, ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal, ops.Erf,
    ops.Tanh, ops.Relu, ops.Sigmoid, ops.Silu, ops.Gelu, ops.LeakyRelu, ops.Elu, ops.Mish,
    ops.Equal, ops.NotEqual, ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual,
    ops.And, ops.Or, ops.Not, ops.Quantize, ops.Dequantize,
)  # fmt: skip


@dataclass(frozen=True)
class Axes:
    """Axes of a value that are the batch and the position in a sequence."""

    batch: int
    position: int

    @property
    def last(self) -> int:
        """The later one."""
        return max(self.batch, self.position)


class Tracker:
    """Follows batch and position through a graph, node by node in its order.

    Args:
        mask: The padding mask, [batch, length].
    """

    def __init__(self, mask: Value) -> None:
        self.batch, self.length = mask.type.shape
        self._axes: dict[Value, Axes] = {}
        for value in mask.graph.inputs:
            if value.type.shape[:2] == mask.type.shape:
                self._axes[value] = Axes(0, 1)

    def __getitem__(self, value: Value) -> Axes | None:
        """Where a value keeps them; ``None`` for one that does not have both, or is unknown."""
        return self._axes.get(value)

    def set(self, value: Value, axes: Axes) -> None:
        """Say where a new value keeps them."""
        self._axes[value] = axes

    def visit(self, node: Node) -> None:
        """Follow one node."""
        if len(node.outputs) == 1:
            axes = self._of(node)
            if axes is not None and self._fits(node.output, axes):
                self._axes[node.output] = axes

    def _fits(self, value: Value, axes: Axes) -> bool:
        shape = value.type.shape
        return axes.last < len(shape) and bool(
            is_equal(shape[axes.batch], self.batch) and is_equal(shape[axes.position], self.length)
        )

    def _of(self, node: Node) -> Axes | None:
        op = node.op
        if isinstance(op, ELEMENTS):
            return self._joined(node)
        if isinstance(op, (ops.Linear, ops.LayerNorm, ops.Softmax)):
            return self[op.x]
        if isinstance(op, ops.MatMul):
            return self._product(op)
        if isinstance(op, ops.Attention):
            return self[op.query]
        if isinstance(op, ops.Gather):  # rows of a table
            found = self[op.indices]
            return found if op.axis == 0 and op.x.type.rank == 2 else None
        return self._moved(node)

    def _joined(self, node: Node) -> Axes | None:
        """Of operands that broadcast: those of the whole shape tell, as scores beside a mask."""
        shape = node.output.type.shape
        known = [value for value in node.op.operands() if self[value] is not None]
        whole = [value for value in known if value.type.shape == shape]
        found = set()
        for value in whole or known:
            axes, further = self[value], len(shape) - value.type.rank
            assert axes is not None
            found.add(Axes(axes.batch + further, axes.position + further))
        return found.pop() if len(found) == 1 else None

    def _product(self, op: ops.MatMul) -> Axes | None:
        axes, rank = self[op.a], op.a.type.rank
        if axes is None or axes.batch > rank - 3 or op.transpose_a or op.b.type.rank > rank:
            return None
        return axes if axes.position <= rank - 2 else None

    def _moved(self, node: Node) -> Axes | None:
        op = node.op
        if not isinstance(op, (ops.Transpose, ops.Unsqueeze, ops.Squeeze, ops.Reshape, ops.Slice)):
            return None
        axes = self[op.x]
        if axes is None:
            return None
        if isinstance(op, ops.Slice):
            return None if op.axis in (axes.batch, axes.position) else axes
        if isinstance(op, ops.Transpose):
            order = list(op.order)
            return Axes(order.index(axes.batch), order.index(axes.position))
        if isinstance(op, ops.Reshape):
            places = [_place(op.x.type.shape, op.shape, one) for one in (axes.batch, axes.position)]
            return None if None in places else Axes(*places)  # type: ignore[arg-type]
        if isinstance(op, ops.Unsqueeze):
            kept = [axis for axis in range(node.output.type.rank) if axis not in op.axes]
            return Axes(kept[axes.batch], kept[axes.position])
        kept = [axis for axis in range(op.x.type.rank) if axis not in op.axes]
        if axes.batch not in kept or axes.position not in kept:
            return None
        return Axes(kept.index(axes.batch), kept.index(axes.position))


def _place(before: tuple[Dim, ...], after: tuple[Dim, ...], axis: int) -> int | None:
    """The axis behind a reshape that counts the same elements; ``None`` where there is none."""
    lead = product(before[:axis])
    for place, size in enumerate(after):
        if is_equal(product(after[:place]), lead) and is_equal(size, before[axis]):
            return place
    return None
