"""Products of matrices, softmax and attention: where tokens meet, and a mask keeps padding out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from fwd_core.ir import Dim, Node, Value, ops
from fwd_plugins_bert.packing import elements
from fwd_plugins_bert.packing.pieces import (
    Axis,
    Flags,
    State,
    changed,
    checked,
    plain,
    same,
    special,
    transposed,
)

Meet = Callable[[frozenset[Value]], None]


class MixedError(Exception):
    """An operator lets tokens meet padding that differs from a padded run's.

    Attributes:
        node: The operator's node.
        roots: Inputs whose tokens it looks at.
        causal: Whether that is so because it is causal.
    """

    def __init__(self, node: Node, roots: frozenset[Value], *, causal: bool = False) -> None:
        super().__init__(node.name)
        self.node, self.roots, self.causal = node, roots, causal


def linear(node: Node, x: State) -> State:
    """Each row times a weight."""
    require_apart(node, x, [len(x.axes) - 1])
    rows = [changed(axis) for axis in x.axes[:-1]]
    return State((*rows, plain(node.output.type.shape[-1:]).axes[0]))


def matmul(node: Node, a: State, b: State, batch: Dim) -> State:
    """Rows of one by columns of the other."""
    axes = elements.lead([a, b], batch)
    _contract(node, a, b, a.axes[-1], b.axes[-2])
    rows, columns = changed(a.axes[-2]), changed(b.axes[-1])
    return checked([*axes, rows, columns], batch)


def _contract(node: Node, a: State, b: State, left: Axis, right: Axis) -> None:
    """Require that no padding that is wrong counts in sums over an axis of each."""
    both = a.roots | b.roots
    if not special(left) and not special(right):
        return
    if any(piece.kind == "batch" for piece in (*left, *right)):
        if a.wrong or b.wrong:
            raise MixedError(node, both)
        return
    for own, other in ((left, right), (right, left)):
        for index, piece in enumerate(own):
            if piece.wrong and not (same(own, other) and other[index].zero):
                raise MixedError(node, both)


def softmax(node: Node, x: State, axis: int) -> State:
    """Weights along an axis, none of which padding has that is low."""
    along = x.axes[axis]
    if x.wrong and any(piece.kind == "batch" for piece in along):
        raise MixedError(node, x.roots)
    if any(piece.wrong and not piece.low for piece in along):
        raise MixedError(node, x.roots)
    # A row that sees padding alone has weights for it: so does padding itself behind another mask.
    emptied = {piece.window for piece in along if piece.low}
    axes = []
    for place, each in enumerate(x.axes):
        flags = [
            Flags(zero=piece.low)
            if place == axis
            else Flags(piece.wrong or piece.window in emptied)
            for piece in each
        ]
        axes.append(
            tuple(
                replace(piece, **one._asdict()) if piece.kind == "position" else piece
                for piece, one in zip(each, flags, strict=True)
            )
        )
    return State(tuple(axes))


def attention(
    node: Node, op: ops.Attention, at: Callable[[Value], State], batch: Dim, meet: Meet
) -> State:
    """Softmax of products, times values."""
    query, given = at(op.query), [at(op.key), at(op.value)]
    alike = special(query.axes[-2]) and same(query.axes[-2], given[0].axes[-2])
    if op.causal and any(one.wrong for one in given) and not alike:
        # Queries that are not known to be tokens may see padding alone.
        raise MixedError(node, given[0].roots | given[1].roots, causal=True)
    scores = matmul(node, query, _swapped(at(op.key)), batch)
    if op.mask is not None:
        low, mask = plain((), -math.inf), at(op.mask)
        if str(op.mask.type.dtype) == "bool":
            states = [mask, scores, low]
            kept: ops.Where | ops.Add = ops.Where(op.mask, op.mask, op.mask)
        else:
            states, kept = [scores, mask], ops.Add(op.mask, op.mask)
        scores = elements.joined(kept, states, batch, meet)
    weights = softmax(node, scores, len(scores.axes) - 1)
    return matmul(node, weights, at(op.value), batch)


def _swapped(state: State) -> State:
    rank = len(state.axes)
    return transposed(state, (*range(rank - 2), rank - 1, rank - 2))


def require_apart(node: Node, x: State, axes: list[int]) -> None:
    """Require that an operator which looks along axes sees no padding that is wrong."""
    seen = [piece for axis in axes for piece in x.axes[axis]]
    if any(piece.wrong for piece in seen):
        raise MixedError(node, x.roots)
    if x.wrong and any(piece.kind == "batch" for piece in seen):
        raise MixedError(node, x.roots)
