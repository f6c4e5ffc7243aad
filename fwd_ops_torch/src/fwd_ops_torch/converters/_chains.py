"""Products of several matrices in the order that takes the fewest multiplications."""

from __future__ import annotations

from fwd_core.ir import Value, ops
from fwd_core.ir.dims import bounds
from fwd_ops_torch.converting import ConversionContext


def multiplied(ctx: ConversionContext, matrices: list[Value]) -> Value:
    """The product of matrices; dynamic sizes count as their greatest."""
    sizes = [bounds(matrix.type.shape[0])[1] for matrix in matrices]
    sizes.append(bounds(matrices[-1].type.shape[1])[1])
    splits = _best_splits(sizes)

    def between(first: int, last: int) -> Value:
        if first == last:
            return matrices[first]
        split = splits[first, last]
        return ctx.emit(ops.MatMul(between(first, split), between(split + 1, last)))

    return between(0, len(matrices) - 1)


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut each run of matrices (Cormen et al., Introduction to Algorithms, 15.2)."""
    count = len(sizes) - 1
    costs = {(i, i): 0 for i in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            options = [
                (
                    costs[first, cut]
                    + costs[cut + 1, last]
                    + sizes[first] * sizes[cut + 1] * sizes[last + 1],
                    cut,
                )
                for cut in range(first, last)
            ]
            costs[first, last], splits[first, last] = min(options)
    return splits
