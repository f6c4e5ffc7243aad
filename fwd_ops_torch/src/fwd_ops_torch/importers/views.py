"""What an operator's schema says of its result: a fresh tensor, a view, or a write in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, Location, Value, is_less, ops
from fwd_core.ir.dims import maximum, minimum
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.aliasing import Content, TensorRef, View
from fwd_ops_torch.tensors import torch_dtype

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Operators whose result may or may not share memory with their operand, whatever the schema says.
MAYBE = frozenset(
    {
        "aten::contiguous",
        "aten::reshape",
        "aten::reshape_as",
        "aten::flatten",
        "aten::unflatten",
        "aten::dropout",
        "aten::feature_dropout",
        "aten::alpha_dropout",
        "aten::expand_as",
        "aten::conj",
        "aten::real",
    }
)
#: ``to`` returns its operand itself when nothing changes, and a copy otherwise.
CASTS = frozenset({"aten::to", "aten::type_as"})
#: Views that return all elements in place.
IDENTITIES = frozenset({"aten::detach", "aten::alias", "aten::lift_fresh"})
#: Operators in place that move no element, but change how their operand lies in its storage.
LAYOUTS = frozenset(
    {"aten::transpose_", "aten::t_", "aten::unsqueeze_", "aten::squeeze_", "aten::swapaxes_"}
)


def wrap(
    session: Session, schema: Schema, arguments: Mapping[str, Any], result: Any, where: Location
) -> Any:
    """Results as tensor refs that alias what torch's would alias."""
    if schema.written is not None:
        return _written(session, schema, arguments, result, where)
    if isinstance(result, (tuple, list)):
        several = [_one(session, schema, arguments, item, where, part=True) for item in result]
        return tuple(several) if len(schema.returns) > 1 else several
    return _one(session, schema, arguments, result, where)


def _one(
    session: Session,
    schema: Schema,
    arguments: Mapping[str, Any],
    result: Any,
    where: Location,
    part: bool = False,
) -> Any:
    if not isinstance(result, (Value, torch.Tensor)):
        return result
    parent = next(iter(arguments.values()), None)
    viewed = (
        schema.returns
        and (schema.returns[0].alias or schema.returns[0].is_list)
        and schema.arguments[0].alias
    )
    if not isinstance(parent, TensorRef) or not (viewed or schema.name in MAYBE):
        return TensorRef(result)
    if schema.name in CASTS:
        same = not arguments.get("copy", False) and _same_dtype(parent, result)
        if not same:
            return TensorRef(result)
    elif schema.name in MAYBE or part:
        ref = TensorRef(result)
        ref.may_alias(parent)
        return ref

    def replay(content: Content) -> Content:
        return _replay(session, schema, arguments, content, where)

    scatter = _scatter(session, schema, arguments, where)
    return TensorRef(result, View(parent.snapshot(), replay, scatter, schema.name))


def _written(
    session: Session, schema: Schema, arguments: Mapping[str, Any], result: Any, where: Location
) -> Any:
    assert schema.written is not None
    target = arguments[schema.written.name]
    if not isinstance(target, TensorRef) or not isinstance(result, (Value, torch.Tensor)):
        raise ConversionError(f"{schema.name} writes to several tensors at once", where=where)
    if schema.name in LAYOUTS:

        def replay(content: Content) -> Content:
            return _replay(session, schema, arguments, content, where)

        scatter = _scatter(session, schema, arguments, where)
        target.become(View(target.snapshot(), replay, scatter, schema.name), result)
        return target
    want = target.type
    have = TensorRef(result).type
    if have.dtype is not want.dtype and torch.can_cast(
        torch_dtype(have.dtype), torch_dtype(want.dtype)
    ):
        # Torch computes in the promoted dtype and stores in the tensor's own.
        emit = _Emit(session, where, schema.name)
        result = emit(ops.Cast(session.materialize(result), want.dtype))
        have = result.type
    if have.shape != want.shape or have.dtype is not want.dtype:
        raise ConversionError(
            f"{schema.name} gives a result that does not fit the tensor it writes to",
            where=where,
            expected=want,
            got=have,
        )
    target.write(result, where)
    return target


def _replay(
    session: Session,
    schema: Schema,
    arguments: Mapping[str, Any],
    content: Content,
    where: Location,
) -> Content:
    first = schema.arguments[0].name
    again = {**arguments, first: TensorRef(content)}
    result = session.call(schema, again, where)
    assert isinstance(result, TensorRef)
    return result.read()


def _same_dtype(parent: TensorRef, result: Content) -> bool:
    return TensorRef(result).type.dtype is parent.type.dtype


Scatter = Callable[[Content, Content], Content]


def _scatter(
    session: Session, schema: Schema, arguments: Mapping[str, Any], where: Location
) -> Scatter | None:
    """How a write through this view changes what was viewed; ``None`` where that has no meaning."""
    name = schema.name.rstrip("_")
    if name in CASTS or name in IDENTITIES:
        return lambda _old, new: new
    make = _SCATTERS.get(name)
    if make is None:
        return None

    def scatter(old: Content, new: Content) -> Content:
        base, part = session.materialize(old), session.materialize(new)
        emit = _Emit(session, where, name)
        return make(emit, base, part, arguments)

    return scatter


class _Emit:
    """Adds operators in the name of the write."""

    def __init__(self, session: Session, where: Location, operator: str) -> None:
        self._session = session
        self._where = where
        path = operator.split("::")[1]
        self._name = f"{where.module}/{path}.write" if where.module else f"{path}.write"

    def __call__(self, op: Any) -> Value:
        return self._session.graph.add(op, name=self._name, location=self._where)

    def constant(self, array: NDArray[np.int64]) -> Value:
        """Add a constant."""
        return self._session.graph.constant(array, name=self._name, location=self._where)


def _reshaped(emit: _Emit, base: Value, part: Value, _arguments: Mapping[str, Any]) -> Value:
    return emit(ops.Reshape(part, base.type.shape))


def _swapped(emit: _Emit, base: Value, part: Value, arguments: Mapping[str, Any]) -> Value:
    order = list(range(base.type.rank))
    axes = [axis for name, axis in arguments.items() if name[:-1] in ("dim", "axis")]
    if axes:
        a, b = axes
        order[a], order[b] = order[b], order[a]
    else:
        order.reverse()
    return emit(ops.Transpose(part, tuple(order)))


def _permuted(emit: _Emit, base: Value, part: Value, arguments: Mapping[str, Any]) -> Value:
    order = [axis % base.type.rank for axis in arguments["dims"]]
    return emit(ops.Transpose(part, tuple(order.index(axis) for axis in range(len(order)))))


def _sliced(emit: _Emit, base: Value, part: Value, arguments: Mapping[str, Any]) -> Value:
    axis = arguments["dim"] % base.type.rank
    size = base.type.shape[axis]
    start, end = arguments.get("start"), arguments.get("end")
    low = clamp_index(0 if start is None else start, size)
    high = clamp_index(size if end is None else end, size)
    if (step := arguments.get("step", 1)) == 1:
        return _placed(emit, base, part, axis, low, maximum(low, high))
    if not (isinstance(size, int) and isinstance(low, int) and isinstance(high, int)):
        raise ConversionError(
            "a write in place through a slice with a step needs a fixed size",
            got=size,
            hint="write with torch.where or to a copy",
        )
    # Old and new elements side by side, then for each place the one that belongs there.
    places = np.arange(size)
    places[low:high:step] = size + np.arange(len(range(low, high, step)))
    both = emit(ops.Concat((base, part), axis))
    return emit(ops.Gather(both, emit.constant(places), axis))


def _selected(emit: _Emit, base: Value, part: Value, arguments: Mapping[str, Any]) -> Value:
    axis = arguments["dim"] % base.type.rank
    index = _from_front(arguments["index"], base.type.shape[axis])
    return _placed(emit, base, emit(ops.Unsqueeze(part, (axis,))), axis, index, index + 1)


def _narrowed(emit: _Emit, base: Value, part: Value, arguments: Mapping[str, Any]) -> Value:
    axis = arguments["dim"] % base.type.rank
    start = _from_front(arguments["start"], base.type.shape[axis])
    return _placed(emit, base, part, axis, start, start + arguments["length"])


def _placed(emit: _Emit, base: Value, part: Value, axis: int, low: Dim, high: Dim) -> Value:
    """The base with elements low … high - 1 of an axis replaced."""
    size = base.type.shape[axis]
    pieces = []
    if low != 0:
        pieces.append(emit(ops.Slice(base, axis, 0, low)))
    pieces.append(part)
    if high != size:
        pieces.append(emit(ops.Slice(base, axis, high, size - high)))
    return pieces[0] if len(pieces) == 1 else emit(ops.Concat(tuple(pieces), axis))


def clamp_index(index: Dim, size: Dim) -> Dim:
    """A slice bound as torch reads it: negative counts from the end, then limited to the axis."""
    return minimum(maximum(_from_front(index, size), 0), size)


def _from_front(index: Dim, size: Dim) -> Dim:
    negative = is_less(index, 0)
    if negative is None:
        raise ConversionError(f"index {index} may be negative or not", got=f"an axis of {size}")
    return size + index if negative else index


_SCATTERS: dict[str, Callable[[_Emit, Value, Value, Mapping[str, Any]], Value]] = {
    "aten::view": _reshaped,
    "aten::_unsafe_view": _reshaped,
    "aten::unsqueeze": _reshaped,
    "aten::squeeze": _reshaped,
    "aten::view_as": _reshaped,
    "aten::transpose": _swapped,
    "aten::swapaxes": _swapped,
    "aten::t": _swapped,
    "aten::permute": _permuted,
    "aten::slice": _sliced,
    "aten::select": _selected,
    "aten::narrow": _narrowed,
}
