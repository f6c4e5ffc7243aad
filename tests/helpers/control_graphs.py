"""Samples of operators that hold graphs, and how to make such graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwd_core.ir import Dim, Graph, Operator, Value, ops

#: Adds operators to a branch with these inputs, and returns its outputs.
Body = Callable[..., list[Value]]
_TYPES = (
    "float32", "float16", "bfloat16", "float64", "int32", "int64", "int16", "int8", "uint8", "bool",
)  # fmt: skip


def branch(name: str, body: Body, *values: Value) -> Graph:
    """A graph on inputs of the types of some values."""
    graph = Graph(name)
    inputs = [graph.add_input(f"x{index}", value.type) for index, value in enumerate(values)]
    results = body(graph, *inputs)
    graph.set_outputs(results, [str(index) for index in range(len(results))])
    return graph


def if_(condition: Value, then: Body, otherwise: Body, *values: Value) -> ops.If:
    """An If on some values."""
    branches = (branch(name, body, *values) for name, body in
                (("then", then), ("otherwise", otherwise)))  # fmt: skip
    return ops.If(condition, values, *branches)


def is_positive(graph: Graph, x: Value) -> Value:
    """Whether the sum of a float32 tensor is positive."""
    total = graph.add(ops.ReduceSum(x, tuple(range(x.type.rank))), name="total")
    zero = graph.constant(np.zeros((), np.float32), name="zero")
    return graph.add(ops.Greater(total, zero), name="positive")


@dataclass(frozen=True)
class Sample:
    """One way to use an If.

    Attributes:
        id: What is special about it.
        then: The branch of a condition that holds.
        otherwise: The other branch.
        shapes: Shapes of what they capture, given the batch size.
        dtypes: Types of what they capture.
    """

    id: str
    then: Body
    otherwise: Body
    shapes: Callable[[Dim], list[Any]]
    dtypes: tuple[str, ...] = ("float32",)

    def make(self, condition: Value, *values: Value) -> ops.If:
        """The operator."""
        return if_(condition, self.then, self.otherwise, *values)


def _one(make: Callable[..., Operator]) -> Body:
    return lambda graph, *inputs: [graph.add(make(*inputs))]


def _flat(graph: Graph, x: Value, y: Value) -> list[Value]:
    """Sizes as shapes and as numbers; after the sum nothing in the branch has just that size."""
    rows = x.type.shape[0]
    whole = graph.add(ops.Reshape(graph.add(ops.Add(x, y)), (3, rows)))
    return [whole, graph.add(ops.DimValue(rows * 2))]


def _several(graph: Graph, x: Value) -> list[Value]:
    y = graph.add(ops.Exp(x))
    return [y, y, graph.add(ops.Relu(y))]


def _nested(graph: Graph, x: Value) -> list[Value]:
    inner = if_(is_positive(graph, x), _one(ops.Exp), lambda _graph, x: [x], x)
    return list(graph.add_all(inner, name="inner"))


def _constant(*numbers: float) -> Body:
    return lambda graph: [graph.constant(np.array(numbers, np.float32))]


IFS = [
    *(
        Sample(
            f"passes {dtype}",
            lambda _graph, x, _y: [x],
            _one(lambda x, y: ops.Concat((y,), 0)),
            lambda b: [(b, 3), (b, 3)],
            (dtype,),
        )
        for dtype in _TYPES
    ),
    Sample(
        "several results",
        _several,
        lambda graph, x: [graph.add(ops.Abs(x)), x, x],
        lambda b: [(b, 3)],
    ),
    Sample(
        "products",
        _one(ops.MatMul),
        lambda graph, x, w: [graph.add(ops.Tanh(graph.add(ops.MatMul(x, w))))],
        lambda b: [(b, 3), (3, 3)],
        ("float32", "float16"),
    ),
    Sample("sizes", _flat, _flat, lambda b: [(b, 3), (b, 3)]),
    Sample("nested", _nested, _one(ops.Sin), lambda b: [(b, 3)]),
    Sample("constants", _constant(1, 2), _constant(3, 4), lambda _: []),
]
