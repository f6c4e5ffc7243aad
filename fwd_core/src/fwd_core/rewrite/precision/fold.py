"""What batch normalization with constant statistics amounts to."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import ops
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.tensor import Tensor


def scale_and_shift(op: ops.BatchNorm) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Factor and summand per channel, [C] each; ``None`` unless all parameters are constant.

    Computed in float64: a variance of 1e6 or an epsilon of 1e-12 is no half, but what they make
    of the scale is.
    """
    if any(value.constant is None for value in list(op.operands())[1:]):
        return None
    mean, variance = _numbers(op.mean, 0.0), _numbers(op.variance, 1.0)
    scale = _numbers(op.scale, 1.0) / np.sqrt(variance + op.epsilon)
    return scale, _numbers(op.shift, 0.0) - mean * scale


def fold_statistics(graph: Graph, node: Node, op: ops.BatchNorm) -> ops.BatchNorm | None:
    """The same normalization with mean 0, variance 1 and epsilon 0, if all is constant."""
    folded = scale_and_shift(op)
    if folded is None:
        return None

    def constant(data: NDArray[np.float64], name: str) -> Value:
        return graph.constant(
            Tensor(data).astype(op.x.type.dtype),
            name=f"{node.name}/{name}",
            location=node.location,
            before=node,
        )

    return dataclasses.replace(
        op,
        mean=constant(np.zeros_like(folded[0]), "mean"),
        variance=constant(np.ones_like(folded[0]), "variance"),
        scale=constant(folded[0], "scale"),
        shift=constant(folded[1], "shift"),
        epsilon=0.0,
    )


def _numbers(value: Value | None, default: float) -> NDArray[np.float64]:
    tensor = None if value is None else value.constant
    return np.float64(default) if tensor is None else tensor.numpy().astype(np.float64)
