"""One way to use an operator, on operands of every type that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fwd_core.ir import Dim, DType, Graph, Operator, Tensor, TensorType, Value, symbol

BATCH = symbol("batch", 1, 2, 4)
#: The size in place of ``batch`` where all is static.
STATIC = 2

FLOATS = ("float32", "float16", "bfloat16", "float64")
INTEGERS = ("int32", "int64", "int16", "int8", "uint8")
NUMBERS = FLOATS + INTEGERS
ALL = (*NUMBERS, "bool")
INDICES = ("int32", "int64")
BOOL = ("bool",)


@dataclass(frozen=True)
class Weight:
    """An operand that is a constant of the case's type; small integers as numbers."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Typed:
    """An operand of a type of its own."""

    dtype: str
    shape: tuple[Dim, ...]


@dataclass(frozen=True)
class Case:
    """One way to use an operator.

    Attributes:
        operator: The operator.
        id: What is special about the case.
        make: The operator on its operands, and on the batch size if attributes hold it.
        operands: Shapes, :class:`Weight` or :class:`Typed`, given the batch size.
        dtypes: Types of the operands that have none of their own.
    """

    operator: type[Operator]
    make: Callable[..., Operator]
    operands: Callable[[Dim], list[Any]]
    dtypes: tuple[str, ...]
    id: str = ""
    sized: bool = field(default=False)

    def __str__(self) -> str:
        return f"{self.operator.__name__}-{self.id}".strip("-").replace(" ", "_")

    def graph(self, dtypes: Sequence[str], batch: Dim) -> Graph:
        """The case once per type as one graph: operands are inputs, but weights are constants."""
        graph = Graph(str(self))
        results: list[Value] = []
        for dtype in dtypes:
            op = self._applied(graph, dtype, batch)
            results += graph.add_all(op, name=f"{self.operator.__name__.lower()}.{dtype}")
        graph.set_outputs(results, [f"y{index}" for index in range(len(results))])
        return graph.verify()

    def _applied(self, graph: Graph, dtype: str, batch: Dim) -> Operator:
        values: list[Value] = []
        for index, operand in enumerate(self.operands(batch)):
            name = f"x{index}.{dtype}"
            if isinstance(operand, Weight):
                numbers = np.arange(np.prod(operand.shape, dtype=np.int64)) % 7 + 1
                tensor = Tensor(numbers.reshape(operand.shape).astype(np.float64))
                values.append(graph.constant(tensor.astype(DType.of(dtype)), name=name))
                continue
            kind = operand.dtype if isinstance(operand, Typed) else dtype
            shape = operand.shape if isinstance(operand, Typed) else operand
            values.append(graph.add_input(name, TensorType(DType.of(kind), tuple(shape))))
        return self.make(*values, batch) if self.sized else self.make(*values)
