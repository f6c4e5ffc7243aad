"""Tensors that hold sizes.

Traces compute with sizes as 0-d tensors: ``aten::size``, ``prim::NumToTensor``, arithmetic,
``aten::Int``. Such a tensor is a :class:`~fwd_core.ir.ops.DimValue` in the graph, so what it holds
can be read from the graph itself, and arithmetic on it is arithmetic on the size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import torch

from fwd_core.ir import Dim, DimExpr, DType, Graph, Location, Operator, Value, ops
from fwd_core.ir import dims as dim_ops
from fwd_core.ir.dims import bounds
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.converting.size_floats import Rounding, SizeFloat
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
        if (how := _rounding(op)) is not None:
            held = _float_of(op.x)  # type: ignore[attr-defined]
            return None if held is None else held.rounded(how)
        if not isinstance(op, (ops.Unsqueeze, ops.Squeeze)):
            return None
        value = op.x
    return None


def _rounding(op: Operator) -> Rounding | None:
    if isinstance(op, ops.Cast) and op.dtype.is_integer and op.x.type.dtype.is_float:
        return "trunc"
    return next((how for kind, how in _ROUNDINGS.items() if isinstance(op, kind)), None)


def _float_of(value: Value) -> SizeFloat | None:
    """How a tensor of one float follows from a size: traces scale sizes in float32."""
    dtype = _FLOATS.get(value.type.dtype)
    if dtype is None or value.producer is None or value.type.rank:
        return None
    op = value.producer.op
    if isinstance(op, ops.Cast):
        if op.x.type.dtype.is_float:
            return _float_of(op.x) if op.x.type.dtype is op.dtype else None
        size = _size_of(op.x)
        return SizeFloat(size, dtype=dtype) if isinstance(size, DimExpr) else None
    name = _FLOAT_ARITHMETIC.get(type(op))
    if name is None:
        return None
    for one, other, reverse in ((op.a, op.b, False), (op.b, op.a, True)):  # type: ignore[attr-defined]
        number, held = other.constant, _float_of(one)
        if held is not None and number is not None:
            return held.combined(name, float(number.item()), reverse=reverse)
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
    for value in list(arguments.values())[: 1 if schema.name in _OF_ONE else 2]:
        number = known_number(value) if isinstance(value, TensorRef) else value
        if isinstance(value, TensorRef) and value.type.rank != 0:
            return None
        if isinstance(number, bool) or not isinstance(number, (int, DimExpr)):
            return None
        operands.append(number)
    if schema.name == "aten::div" and not _rounds_down(arguments, operands):
        return None
    result = function(*operands)
    if result is None:
        return None
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


def _rounds_down(arguments: Mapping[str, Any], operands: Sequence[Dim]) -> bool:
    """Whether a quotient is a floor division; toward zero is the same of what is not negative."""
    mode = arguments.get("rounding_mode")
    return mode == "floor" or (mode == "trunc" and all(bounds(one)[0] >= 0 for one in operands))


def power(a: Dim, b: Dim) -> Dim | None:
    """A size to a known power, if that is a size."""
    if not isinstance(b, int) or b < 0:
        return None
    return dim_ops.product([a] * b)


def shifted_right(a: Dim, b: Dim) -> Dim | None:
    """The bits of a size moved to the right, as floor division does."""
    return dim_ops.floordiv(a, 1 << b) if isinstance(b, int) and 0 <= b < _BITS else None


def shifted_left(a: Dim, b: Dim) -> Dim | None:
    """The bits of a size moved to the left."""
    return a * (1 << b) if isinstance(b, int) and 0 <= b < _BITS else None


def absolute(a: Dim) -> Dim:
    """What a size is without its sign."""
    return dim_ops.maximum(a, -a)


def follows_from_sizes(value: Value) -> bool:
    """Whether nothing but sizes and constants decides what a tensor of one number holds."""
    seen: set[Value] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one in seen or one.constant is not None:
            continue
        seen.add(one)
        if one.producer is None or len(seen) > _MOST_FOLLOWED:
            return False
        op = one.producer.op
        if any(isinstance(held, Graph) for held in vars(op).values()):
            return False  # branches read what they like
        if not isinstance(op, ops.DimValue):
            waiting += op.operands()
    return True


_ROUNDINGS: dict[type[Operator], Rounding] = {
    ops.Floor: "floor",
    ops.Ceil: "ceil",
    ops.Round: "round",
}
_FLOATS: dict[DType, type[np.floating[Any]]] = {
    DType.FLOAT32: np.float32,
    DType.FLOAT64: np.float64,
}
_FLOAT_ARITHMETIC: dict[type[Operator], str] = {
    ops.Add: "add",
    ops.Sub: "sub",
    ops.Mul: "mul",
    ops.Div: "div",
}
#: Shifts by more bits than numbers have mean nothing.
_BITS = 63
#: Arithmetic on sizes is short; longer roads are those of data.
_MOST_FOLLOWED = 64
_OF_ONE = frozenset({"aten::neg", "aten::abs"})
_ARITHMETIC: dict[str, Callable[..., Dim | None]] = {
    "aten::add": lambda a, b: a + b,
    "aten::sub": lambda a, b: a - b,
    "aten::rsub": lambda a, b: b - a,
    "aten::mul": lambda a, b: a * b,
    "aten::floor_divide": dim_ops.floordiv,
    "aten::div": dim_ops.floordiv,
    "aten::remainder": dim_ops.modulo,
    "aten::minimum": dim_ops.minimum,
    "aten::maximum": dim_ops.maximum,
    "aten::neg": lambda a: -a,
    "aten::abs": absolute,
    "aten::pow": power,
    "aten::__rshift__": shifted_right,
    "aten::__lshift__": shifted_left,
    "aten::bitwise_right_shift": shifted_right,
    "aten::bitwise_left_shift": shifted_left,
}
