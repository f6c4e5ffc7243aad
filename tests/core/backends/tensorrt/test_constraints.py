"""What a weakly typed network is made to compute in float32."""

from __future__ import annotations

import numpy as np
import pytest

from fwd_core.backends.tensorrt.constraints import held
from fwd_core.ir import DType, Graph, Operator, TensorType, Value, ops

X = TensorType(DType.FLOAT32, (2, 3, 4))
HELD = {
    "exponentials": lambda x: ops.Exp(x),
    "sums": lambda x: ops.ReduceSum(x, (1,)),
    "arithmetic": lambda x: ops.Mul(x, x),
}
FREE = {
    "norms": lambda x: ops.LayerNorm(x, scale=None, shift=None, axes=1, epsilon=1e-5),
    "softmax": lambda x: ops.Softmax(x, 2),
    "means": lambda x: ops.ReduceMean(x, (1,)),
    "what moves": lambda x: ops.Transpose(x, (1, 0, 2)),
    "casts": lambda x: ops.Cast(x, DType.FLOAT16),
    "comparisons": lambda x: ops.Greater(x, x),
}


def _held(operator: Operator, graph: Graph) -> bool:
    made = graph.add(operator)
    value = made if isinstance(made, Value) else made[0]
    assert value.producer is not None
    return held(value.producer)


@pytest.mark.parametrize("make", HELD.values(), ids=HELD)
def test_what_leaves_the_range_of_half_is_held(make) -> None:  # type: ignore[no-untyped-def]
    graph = Graph()
    assert _held(make(graph.add_input("x", X)), graph)
    half = graph.add_input("half", TensorType(DType.FLOAT16, X.shape))
    assert not _held(make(half), graph)


@pytest.mark.parametrize("make", FREE.values(), ids=FREE)
def test_what_is_safe_in_half_is_free(make) -> None:  # type: ignore[no-untyped-def]
    graph = Graph()
    assert not _held(make(graph.add_input("x", X)), graph)


def test_constants_are_free() -> None:
    graph = Graph()
    made = graph.constant(np.ones(3, np.float32)).producer
    assert made is not None
    assert not held(made)
