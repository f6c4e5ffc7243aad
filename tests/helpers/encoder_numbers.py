"""What the encoder of :mod:`encoder_graphs` computes, by NumPy in float64: no engine is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Graph, Value, ops

Array = NDArray[Any]
_ERF = np.vectorize(math.erf, otypes=[np.float64])


def results(graph: Graph, given: Mapping[str, Array]) -> list[Array]:
    """The outputs of a graph of fixed sizes."""
    known: dict[Value, Array] = {value: given[value.name] for value in graph.inputs}
    for node in graph:
        if (constant := node.output.constant) is not None:
            data = constant.numpy()
            known[node.output] = data.astype(np.float64) if constant.dtype.is_float else data
            continue
        operands = [known[value] for value in node.op.operands()]
        known[node.output] = _computed(node.op, *operands)
        assert known[node.output].shape == node.output.type.static_shape()
    return [known[value] for value in graph.outputs]


@singledispatch
def _computed(op: Any, *_operands: Array) -> Array:
    raise NotImplementedError(op.kind())


@_computed.register
def _(op: ops.Gather, x: Array, indices: Array) -> Array:
    return np.take(x, indices, op.axis)


@_computed.register
def _(op: ops.Unsqueeze, x: Array) -> Array:
    return np.expand_dims(x, op.axes)


@_computed.register
def _(op: ops.Cast, x: Array) -> Array:
    return x.astype(np.float64 if op.dtype.is_float else op.dtype.storage)


@_computed.register
def _(_op: ops.Where, condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


@_computed.register
def _(_op: ops.Add, a: Array, b: Array) -> Array:
    return np.asarray(a + b)


@_computed.register
def _(_op: ops.Linear, x: Array, weight: Array, bias: Array) -> Array:
    return np.asarray(x @ weight.T + bias)


@_computed.register
def _(op: ops.Reshape, x: Array) -> Array:
    return x.reshape(op.infer().static_shape())


@_computed.register
def _(op: ops.Transpose, x: Array) -> Array:
    return np.transpose(x, op.order)


@_computed.register
def _(_op: ops.Gelu, x: Array) -> Array:
    return np.asarray(x / 2 * (1 + _ERF(x / math.sqrt(2))))


@_computed.register
def _(op: ops.LayerNorm, x: Array, scale: Array, shift: Array) -> Array:
    apart = x - x.mean(-1, keepdims=True)
    return np.asarray(apart / np.sqrt(apart.var(-1, keepdims=True) + op.epsilon) * scale + shift)


@_computed.register
def _(op: ops.Attention, query: Array, key: Array, value: Array, mask: Any = None) -> Array:
    scores = query @ key.swapaxes(-1, -2) * op.factor()
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    most = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(most), 0, most))
    total = weights.sum(-1, keepdims=True)
    return np.asarray(weights @ value / np.where(total == 0, 1, total))
