"""Batch, positions and padding, followed through a graph operator by operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fwd_core.ir import Node, Value, is_equal, ops
from fwd_plugins_bert.packing import elements, places, products
from fwd_plugins_bert.packing.pieces import (
    Axis,
    CannotFollowError,
    Piece,
    State,
    changed,
    checked,
    plain,
    regrouped,
    special,
    transposed,
)
from fwd_plugins_bert.packing.products import MixedError

#: Operators that are followed as those on each element, but never computed for tokens alone.
_ALIKE = (
    ops.Sign, ops.Sin, ops.Cos, ops.Floor, ops.Ceil, ops.Round, ops.Expm1, ops.Log1p, ops.Mod,
    ops.FloorDiv, ops.TruncDiv, ops.Xor, ops.PRelu,
)  # fmt: skip
_REDUCTIONS = (
    ops.ReduceSum, ops.ReduceMean, ops.ReduceMax, ops.ReduceMin, ops.ReduceProd, ops.ReduceAny,
    ops.ReduceAll,
)  # fmt: skip


class Tracker:
    """Follows batch, positions and what holds in padding, node by node in a graph's order.

    Args:
        mask: The padding mask, [batch, length].
        marks_padding: Whether it is not 0 where there is padding.
        swapped: Of inputs that hold tokens of this mask, whether they are [length, batch, ...],
            instead of [batch, length, ...].
    """

    def __init__(self, mask: Value, marks_padding: bool, swapped: Mapping[Value, bool]) -> None:
        self.batch, self.length = mask.type.shape
        #: Inputs whose tokens have met the mask.
        self.confirmed: set[Value] = set()
        self._mask = mask
        #: Nodes that take single places of a value, and whether one only.
        self.reads: dict[Node, bool] = {}
        self._states: dict[Value, State] = {}
        numbers = np.array([1.0, 0.0] if marks_padding else [0.0, 1.0])
        self._states[mask] = State((self._sequences, self._tokens(mask)), numbers)
        for value, turned in swapped.items():
            ends = [self._sequences, self._tokens(value)]
            rest = plain(value.type.shape[2:]).axes
            self._states[value] = State((*(ends[::-1] if turned else ends), *rest))

    @property
    def _sequences(self) -> Axis:
        return () if self.batch == 1 else (Piece(self.batch, "batch"),)

    def _tokens(self, *roots: Value) -> Axis:
        return (Piece(self.length, "position", roots=frozenset(roots)),)

    def __getitem__(self, value: Value) -> State:
        """What is known of a value."""
        if value not in self._states:
            self._states[value] = plain(value.type.shape, _number(value))
        return self._states[value]

    def __setitem__(self, value: Value, state: State) -> None:
        self._states[value] = state

    def order(self, value: Value) -> bool | None:
        """Whether it is [length, batch, features], or [batch, length, features]; else ``None``."""
        axes = self[value].axes
        if len(axes) != 3 or special(axes[2]):
            return None
        ends = [self._sequences, self._tokens()]
        for turned in (False, True):
            if all(_is(a, b) for a, b in zip(axes, ends[::-1] if turned else ends, strict=False)):
                return turned
        return None

    def visit(self, node: Node) -> None:
        """Follow one node.

        Raises:
            MixedError: It lets tokens meet padding that differs from a padded run's.
        """
        if isinstance(node.op, ops.Constant):
            return
        try:
            state = self._of(node)
        except CannotFollowError:
            state = None
        if state is None:
            wrong = [self[value] for value in node.op.operands() if self[value].wrong]
            if wrong:
                raise MixedError(node, frozenset(root for one in wrong for root in one.roots))
            return
        for output in node.outputs:
            self[output] = state

    def element(self, node: Node) -> State:
        """Of an operator on each element."""
        states = [self[value] for value in node.op.operands()]
        return elements.joined(node.op, states, self.batch, self._meet)

    def _meet(self, roots: frozenset[Value]) -> None:
        if self._mask in roots:
            self.confirmed |= roots

    def _of(self, node: Node) -> State | None:
        op: Any = node.op
        if isinstance(op, (*elements.ELEMENTS, *_ALIKE)):
            return self.element(node)
        if isinstance(op, (ops.Linear, ops.LayerNorm)) and any(
            self[one].wrong for one in op.operands() if one is not op.x
        ):
            return None
        if isinstance(op, ops.Linear):
            return products.linear(node, self[op.x])
        if isinstance(op, ops.MatMul):
            a, b = self[op.a], self[op.b]
            a = _turned(a) if op.transpose_a else a
            b = _turned(b) if op.transpose_b else b
            return products.matmul(node, a, b, self.batch)
        if isinstance(op, ops.Attention):
            return products.attention(node, op, self.__getitem__, self.batch, self._meet)
        if isinstance(op, ops.Softmax):
            return products.softmax(node, self[op.x], op.axis)
        return self._moved(node, op) or self._along(node, op)

    def _moved(self, node: Node, op: Any) -> State | None:
        if isinstance(op, (ops.Reshape, ops.Squeeze, ops.Unsqueeze)):
            return regrouped(self[op.x], node.output.type.shape)
        if isinstance(op, ops.Transpose):
            return transposed(self[op.x], op.order)
        if isinstance(op, ops.Expand):
            x, shape = self[op.x], node.output.type.shape
            given = [*((),) * (len(shape) - len(x.axes)), *x.axes]
            new = plain(shape).axes
            return checked([a or b for a, b in zip(given, new, strict=True)], self.batch, x.table)
        if isinstance(op, (ops.Slice, ops.Gather, ops.GatherElements, ops.GatherND)):
            taken = places.taken(node, op, self.__getitem__, self.batch, self._meet)
            if taken is not None and taken.read:
                self.reads[node] = isinstance(op, ops.Slice)
            return None if taken is None else taken.state
        return None

    def _along(self, node: Node, op: Any) -> State | None:
        """Operators that look along some axes."""
        if isinstance(op, ops.LayerNorm):
            rank = len(self[op.x].axes)
            axes = list(range(rank - op.axes, rank))
        elif isinstance(op, _REDUCTIONS):
            return self._reduced(node, op)
        elif isinstance(op, (ops.TopK, ops.CumSum)):
            axes = [op.axis]
        elif isinstance(op, ops.Concat):
            return self._concat(node, op)
        else:
            return None
        products.require_apart(node, self[op.x], axes)
        shape = node.outputs[0].type.shape
        own = self[op.x].axes
        return State(
            tuple(
                plain(shape[place : place + 1]).axes[0] if place in axes else changed(axis)
                for place, axis in enumerate(own)
            )
        )

    def _reduced(self, node: Node, op: Any) -> State:
        x = self[op.x]
        if isinstance(op, ops.ReduceMax):  # what is low is not the greatest
            low = tuple(
                tuple(replace(one, wrong=one.wrong and not one.low) for one in axis)
                if place in op.axes
                else axis
                for place, axis in enumerate(x.axes)
            )
            products.require_apart(node, State(low), list(op.axes))
        else:
            products.require_apart(node, x, list(op.axes))
        kept = [
            () if place in op.axes else changed(axis)
            for place, axis in enumerate(x.axes)
            if op.keepdims or place not in op.axes
        ]
        return checked(kept, self.batch)

    def _concat(self, node: Node, op: ops.Concat) -> State:
        states = [self[value] for value in op.values]
        for state in states:
            products.require_apart(node, state, [op.axis])
        cut = [State((*one.axes[: op.axis], (), *one.axes[op.axis + 1 :])) for one in states]
        axes = list(elements.joined(op, cut, self.batch, self._meet).axes)
        axes[op.axis] = plain(node.output.type.shape).axes[op.axis]
        return checked(axes, self.batch)


def _is(axis: Axis, wanted: Axis) -> bool:
    return [(one.kind, one.window) for one in axis] == [
        (one.kind, one.window) for one in wanted
    ] and all(is_equal(a.size, b.size) is True for a, b in zip(axis, wanted, strict=True))


def _turned(state: State) -> State:
    rank = len(state.axes)
    return transposed(state, (*range(rank - 2), rank - 1, rank - 2))


def _number(value: Value) -> float | None:
    """The number that a value holds everywhere; of large weights two elements tell that soon."""
    node, known = value.producer, value.constant
    if node is not None and isinstance(node.op, ops.Full):
        return float(node.op.value)
    if known is None or not known.data.size or known.data.flat[0] != known.data.flat[-1]:
        return None
    numbers = known.numpy()
    first = numbers.flat[0]
    return float(first) if bool((numbers == first).all()) else None
