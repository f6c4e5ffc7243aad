"""Products that make queries, keys and values of heads, and three of them as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Emitter, Node, Tensor, Value, ops
from fwd_core.rewrite.base import Refusal
from fwd_plugins_bert import match
from fwd_plugins_bert.fusions import layout as moves
from fwd_plugins_bert.fusions.weights import Rows, rows_of


@dataclass(frozen=True)
class Projection:
    """A ``Linear`` whose features, or some of them, are cut into heads.

    Attributes:
        x: What is projected, of rank 3; of rank 2 if it is of tokens alone.
        linear: The product.
        features: Which of its features are there, head after head.
        heads: How many heads.
        size: Features of each.
        length_first: Whether x is [length, batch, in] and not [batch, length, in].
        factor: What the heads were multiplied by.
        nodes: The product and what cuts it.
    """

    linear: ops.Linear
    weight: Rows
    features: NDArray[np.int64]
    heads: int
    size: int
    length_first: bool
    factor: float
    nodes: tuple[Node, ...]

    @property
    def x(self) -> Value:
        """What is projected."""
        return self.linear.x


def projection(
    operand: Value, swapped: bool, places: Value | None = None
) -> Projection | Refusal | None:
    """What an operand of attention is a projection of, if it is one.

    Args:
        operand: [batch, heads, length, size], or batch and heads in one axis.
        swapped: Whether the last two axes are the other way around.
        places: If the projection is of tokens alone, by which they are put in their places.
    """
    found = moves.layout(operand)
    if found is None:
        return Refusal("how heads are cut from a product cannot be followed")
    product, nodes, factor = found.source, found.nodes, found.factor
    if places is not None:
        apart = match.made_by(product, ops.Gather)
        if apart is None or apart.axis != 0 or apart.indices is not places:
            return Refusal("a query, key or value is not of tokens alone")
        nodes = (*_producers(product), *nodes)
        product = apart.x
        if (scaled := match.times_number(product)) is not None:
            nodes, factor = (*_producers(product), *nodes), factor * scaled[1]
            product = scaled[0]
    linear = match.made_by(product, ops.Linear)
    if linear is None:
        return Refusal("a query, key or value is no projection")
    if found.source.type.rank != 3:
        return Refusal("the projected tensor is not of rank 3")
    *lead, length, size = found.axes[:-2] + (found.axes[-2:][::-1] if swapped else found.axes[-2:])
    flat = [piece for axis in lead for piece in axis]
    batch = [piece for piece in flat if piece.axis != 2]
    heads = [piece for piece in flat if piece.axis == 2]
    if flat != [*batch, *heads] or any(piece.axis != 2 for piece in size):
        return Refusal("heads are not cut from the features of a projection")
    length_first = _order(found, batch, length)
    features = moves.indices([*heads, *size], found.offsets[2])
    count = moves.indices(heads, 0)
    if length_first is None or features is None or count is None:
        return Refusal("heads are not cut from the features of a projection")
    weight = rows_of(linear.weight)
    if weight is None or (linear.bias is not None and linear.bias.constant is None):
        return Refusal("a weight or bias of a projection is no constant")
    return Projection(
        linear,
        weight,
        features,
        len(count),
        len(features) // len(count),
        length_first,
        factor,
        (*_producers(product), *nodes),
    )


def _producers(*values: Value) -> tuple[Node, ...]:
    return tuple(value.producer for value in values if value.producer is not None)


def merged(emit: Emitter, parts: Sequence[Projection]) -> tuple[Value, Value | None]:
    """One weight for all projections, and one bias if any has one."""
    weight = Rows.joined([(part.weight, part.features) for part in parts], emit)
    if all(part.linear.bias is None for part in parts):
        return weight, None
    dtype = parts[0].x.type.dtype
    pieces = []
    for part in parts:
        bias = part.linear.bias
        known = None if bias is None else bias.constant
        if known is None:
            pieces.append(np.zeros(len(part.features), dtype.storage))
        else:
            pieces.append(known.data[part.features])
    return weight, emit.constant(Tensor(np.concatenate(pieces), dtype), "bias")


def _order(
    found: moves.Layout, batch: Sequence[moves.Piece], length: Sequence[moves.Piece]
) -> bool | None:
    """Whether the length is on the first axis of the source; ``None`` if it is on neither."""
    sizes, offsets = found.source.type.shape, found.offsets
    for first, axes in ((False, (0, 1)), (True, (1, 0))):
        if all(
            moves.is_whole(pieces, axis, sizes[axis], offsets[axis])
            for pieces, axis in zip((batch, length), axes, strict=True)
        ):
            return first
    return None
