"""Operators on drawn values, and why a lowering does not take them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.ir import Dim, DType, Graph, Operator, TensorType, Value
from fwd_core.plugins.markers import lowering_mark

EIGHT = SimpleNamespace(features=ROWS["tensorrt", "8.6.0"], bytewise=False)


class Operands:
    """Values of a graph, inputs and constants."""

    def __init__(self, dtype: DType = DType.FLOAT16) -> None:
        self.graph, self.dtype = Graph(), dtype

    def input(self, *shape: Dim, dtype: DType | None = None) -> Value:
        name = f"x{len(self.graph.inputs)}"
        return self.graph.add_input(name, TensorType(dtype or self.dtype, shape))

    def constant(self, *shape: int) -> Value:
        return self.graph.constant(np.ones(shape, self.dtype.storage))


def why(lower: Callable[..., Any], op: Operator, ctx: Any = EIGHT) -> str | None:
    op.infer()
    mark = lowering_mark(lower)
    assert mark is not None
    assert mark.unless is not None
    return mark.unless(ctx, op)
