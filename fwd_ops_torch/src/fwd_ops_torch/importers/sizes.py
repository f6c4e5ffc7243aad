"""Tensors that hold sizes.

Traces compute with sizes as 0-d tensors: ``aten::size``, ``prim::NumToTensor``, arithmetic,
``aten::Int``. Such a tensor is a :class:`~fwd_core.ir.ops.DimValue` in the graph, so what it holds
can be read from the graph itself, and arithmetic on it is arithmetic on the size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

import torch

from fwd_core.ir import Dim, DimExpr, DType, Graph, Location, Value, ops
from fwd_core.ir import dims as dim_ops
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.aliasing import TensorRef

KnownNumber = Union[bool, int, float, DimExpr]


def known_number(ref: TensorRef) -> KnownNumber | None:
    """The number that a tensor of one element holds, if that is known while importing."""
    content = ref.read()
    if isinstance(content, torch.Tensor):
        return content.item() if content.numel() == 1 else None
    return _size_of(content)


def _size_of(value: Value) -> DimExpr | int | None:
    while value.producer is not None:
        op = value.producer.op
        if isinstance(op, ops.DimValue):
            return op.dim
        if not isinstance(op, (ops.Unsqueeze, ops.Squeeze)):
            return None
        value = op.x
    return None


def from_number(graph: Graph, number: Any, where: Location) -> TensorRef:
    """A 0-d tensor that holds a number, as ``prim::NumToTensor`` makes."""
    if isinstance(number, DimExpr):
        return TensorRef(_emit(graph, number, DType.INT64, where))
    return TensorRef(torch.tensor(number))


def compute(
    graph: Graph, schema: Schema, arguments: Mapping[str, Any], where: Location
) -> TensorRef | None:
    """The result of arithmetic on tensors that hold sizes, or ``None`` if it is something else."""
    function = _ARITHMETIC.get(schema.name)
    if function is None or not any(_is_dynamic(value) for value in arguments.values()):
        return None
    if arguments.get("alpha", 1) != 1:
        return None
    operands: list[Dim] = []
    for value in list(arguments.values())[:2]:
        number = known_number(value) if isinstance(value, TensorRef) else value
        if isinstance(value, TensorRef) and value.type.rank != 0:
            return None
        if isinstance(number, bool) or not isinstance(number, (int, DimExpr)):
            return None
        operands.append(number)
    if schema.name == "aten::div" and arguments.get("rounding_mode") is None:
        return None
    result = function(*operands)
    if isinstance(result, int):
        return TensorRef(torch.tensor(result))
    return TensorRef(_emit(graph, result, DType.INT64, where))


def _emit(graph: Graph, dim: Dim, dtype: DType, where: Location) -> Value:
    path = f"{where.module}/size" if where.module else "size"
    return graph.add(ops.DimValue(dim, dtype), name=path, location=where)


def _is_dynamic(value: Any) -> bool:
    if not isinstance(value, TensorRef):
        return False
    content = value.read()
    if not isinstance(content, Value) or content.type.dtype not in (DType.INT32, DType.INT64):
        return False
    return isinstance(_size_of(content), DimExpr)


def _floordiv(a: Dim, b: Dim) -> Dim:
    return dim_ops.floordiv(a, b)


_ARITHMETIC: dict[str, Callable[[Dim, Dim], Dim]] = {
    "aten::add": lambda a, b: a + b,
    "aten::sub": lambda a, b: a - b,
    "aten::rsub": lambda a, b: b - a,
    "aten::mul": lambda a, b: a * b,
    # Sizes are not negative, so rounding down and toward zero are one.
    "aten::floor_divide": _floordiv,
    "aten::div": _floordiv,
    "aten::remainder": dim_ops.modulo,
    "aten::minimum": dim_ops.minimum,
    "aten::maximum": dim_ops.maximum,
}
