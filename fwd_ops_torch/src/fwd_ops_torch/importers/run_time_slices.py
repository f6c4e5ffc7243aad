"""Slices from a place that the engine knows, of as many elements as the model says.

``x[i : i + 2]`` with a number that a tensor holds takes two elements wherever it starts, so it is
``x.narrow(0, i, 2)`` with a tensor for the start. That so many elements follow cannot be known
while importing. Torch takes fewer at the end of the axis, which no size that a graph has can
follow: for such inputs the result is undefined, and a warning says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fwd_core.errors import ForwardWarning
from fwd_core.ir import DimExpr, Location, Value, is_less, ops
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.undecided import Undecided

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

_MOVES = (ops.Reshape, ops.Squeeze, ops.Unsqueeze)
#: How far apart two numbers may have been computed and still be told to be one.
_DEEP = 8


def as_narrow(
    session: Session, schema: Schema, arguments: Mapping[str, Any], where: Location
) -> tuple[Schema, Mapping[str, Any]]:
    """The call of narrow that a slice is, or the call itself where it is none.

    Args:
        session: Holds the graph.
        schema: What is called.
        arguments: Those that were given, by name.
        where: Where in the user's model.
    """
    if schema.name != "aten::slice" or arguments.get("step", 1) != 1:
        return schema, arguments
    start, end = _held(arguments.get("start")), _held(arguments.get("end"))
    if start is None or end is None:
        return schema, arguments
    (base, first), (other, last) = _apart(start), _apart(end)
    length = last - first
    if length < 0 or not _same(base, other) or not _fits(arguments, length):
        return schema, arguments
    warnings.warn(
        f"a slice takes {length} elements from a place that a tensor holds (at {where}). It "
        "is taken to lie within the axis: torch takes fewer at the end, an engine cannot",
        ForwardWarning,
        stacklevel=2,
    )
    place = session.materialize(start)
    if place.type.rank:
        place = session.graph.add(ops.Reshape(place, ()), name="start", location=where)
    given = {"self": arguments["self"], "dim": arguments.get("dim", 0)}
    narrow = schemas.overload("aten::narrow", "Tensor")
    return narrow, {**given, "start": TensorRef(place), "length": length}


def _fits(arguments: Mapping[str, Any], length: int) -> bool:
    """Whether an axis certainly has as many elements."""
    shape, dim = arguments["self"].type.shape, arguments.get("dim", 0)
    return -len(shape) <= dim < len(shape) and is_less(shape[dim], length) is False


def _held(number: Any) -> Value | None:
    """The tensor of one integer that holds a number which is not known yet."""
    held: object = number.read() if isinstance(number, TensorRef) else None
    if isinstance(number, Undecided) and number.kind is int:
        held = number.value
    if not isinstance(held, Value) or held.type.numel != 1 or not held.type.dtype.is_integer:
        return None
    return held


def _apart(value: Value) -> tuple[Value, int]:
    """What a number was computed of by adding whole numbers, and their sum."""
    more = 0
    while value.producer is not None:
        op = value.producer.op
        if isinstance(op, _MOVES) or (isinstance(op, ops.Cast) and op.x.type.dtype.is_integer):
            value = op.x
            continue
        if not isinstance(op, (ops.Add, ops.Sub)):
            break
        a, b = _known(op.a), _known(op.b)
        if b is not None:
            value, more = op.a, more + (b if isinstance(op, ops.Add) else -b)
        elif a is not None and isinstance(op, ops.Add):
            value, more = op.b, more + a
        else:
            break
    return value, more


def _known(value: Value) -> int | None:
    constant = value.constant
    if constant is not None:
        return int(constant.item()) if constant.data.size == 1 else None
    if value.producer is not None and isinstance(value.producer.op, ops.DimValue):
        dim = value.producer.op.dim
        return None if isinstance(dim, DimExpr) else dim
    return None


def _same(a: Value, b: Value, deep: int = _DEEP) -> bool:
    """Whether two numbers are one, or are computed of the same ones in the same way."""
    if a is b:
        return True
    if a.constant is not None and b.constant is not None:
        one, other = _known(a), _known(b)
        return one is not None and one == other and a.type == b.type
    if a.producer is None or b.producer is None or not deep:
        return False
    left, right = a.producer.op, b.producer.op
    return (
        type(left) is type(right)
        and not list(left.graphs())
        and left.attributes() == right.attributes()
        and a.producer.outputs.index(a) == b.producer.outputs.index(b)
        and len(list(left.operands())) == len(list(right.operands()))
        and all(
            _same(one, other, deep - 1)
            for one, other in zip(left.operands(), right.operands(), strict=True)
        )
    )
