"""Below what the numbers of a tensor never are, as far as the operators before it tell.

A range is one magnitude, so half of the steps around 0 are lost on a tensor that is never
negative. Backends whose integers may begin anywhere need not lose them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fwd_core.ir import ops
from fwd_core.ir.graph import Graph, Value
from fwd_core.ir.operator import Operator
from fwd_core.quantize import rules

_UNKNOWN = -math.inf
#: Never negative, whatever they are given.
_POSITIVE = (ops.Relu, ops.Sigmoid, ops.Softmax, ops.Abs, ops.Exp, ops.Sqrt)
#: The least values of functions, a little below for those who approximate them.
_LEAST: Mapping[type[Operator], float] = {ops.Gelu: -0.1705, ops.Silu: -0.279, ops.Mish: -0.309}


def least(graph: Graph) -> dict[Value, float]:
    """The greatest number at most 0 that no element of a tensor is below, where one is known."""
    found: dict[Value, float] = {}
    for node in graph:
        if len(node.outputs) == 1:
            bound = min(0.0, _bound(node.op, lambda value: found.get(value, _UNKNOWN)))
            if bound > _UNKNOWN:
                found[node.output] = bound
    return found


def _bound(op: Operator, of: Callable[[Value], float]) -> float:
    if isinstance(op, _POSITIVE):
        return 0.0
    if (known := _LEAST.get(type(op))) is not None:
        return known
    if isinstance(op, ops.Elu):
        return -op.scale * op.alpha if op.scale > 0 and op.alpha > 0 else _UNKNOWN
    if isinstance(op, ops.Clamp):
        if op.minimum is None:
            return _UNKNOWN
        return float(op.minimum if op.maximum is None else min(op.minimum, op.maximum))
    if isinstance(op, (ops.AveragePool, ops.AdaptiveAveragePool, ops.ReduceMean)):
        return of(op.x)
    if isinstance(op, ops.Add):
        return of(op.a) + of(op.b)
    if isinstance(op, ops.Mul):
        return 0.0 if op.a is op.b or of(op.a) == of(op.b) == 0 else _UNKNOWN
    sources: Any = rules.passed_on(op)
    return min(map(of, sources)) if sources else _UNKNOWN
