"""How a write through a view changes what was viewed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.ir import Location, Value, ops
from fwd_ops_torch.converters.layout import moved_order
from fwd_ops_torch.converters.slicing import put_selected, run_time_places
from fwd_ops_torch.converting import ConversionContext, spans
from fwd_ops_torch.importers.aliasing import Content, TensorRef

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Views that are their operand, element for element.
IDENTITIES = frozenset(
    {
        "aten::detach",
        "aten::alias",
        "aten::lift_fresh",
        "aten::to",
        "aten::type_as",
        "aten::dropout",
        "aten::feature_dropout",
        "aten::alpha_dropout",
        "aten::feature_alpha_dropout",
    }
)

#: Arguments that tensors may hold which the engine computes.
_RUN_TIME = frozenset({"index", "start"})
Scatter = Callable[[Content, Content], Content]


def through(
    session: Session, operator: str, arguments: Mapping[str, Any], where: Location
) -> Scatter | None:
    """What a write through a view makes of the viewed tensor; ``None`` where it has no meaning.

    Args:
        session: Where operators go.
        operator: The operator that made the view.
        arguments: Its arguments.
        where: Its place in the user's model.

    Returns:
        New contents of the viewed tensor, from its old ones and new ones of the view.
    """
    if operator in IDENTITIES:
        return lambda _old, new: new
    make = _SCATTERS.get(operator)
    if make is None:
        return None

    def scatter(old: Content, new: Content) -> Content:
        base, part = session.materialize(old), session.materialize(new)
        given = {name: session.value(one) if name in _RUN_TIME and isinstance(one, TensorRef)
                 else one for name, one in arguments.items()}  # fmt: skip
        return make(context(session, operator, where), base, part, given)

    return scatter


def constant_or(scatter: Scatter, view: Callable[[Content], Content]) -> Scatter:
    """The same, which keeps constants constant: later calls may need to know them."""

    def known_or(old: Content, new: Content) -> Content:
        if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
            whole = old.detach().clone()
            part = view(whole)
            if isinstance(part, torch.Tensor) and _share(part, whole):
                part.copy_(new)
                return whole
        return scatter(old, new)

    return known_or


def _share(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def context(session: Session, operator: str, where: Location) -> ConversionContext:
    """Adds operators in the name of a write."""
    path = f"{operator.split('::')[1]}.write"
    name = f"{where.module}/{path}" if where.module else path
    guarded = session.graph is not session.scopes.root
    return ConversionContext(session.graph, operator, name, where, guarded=guarded)


def _reshaped(
    ctx: ConversionContext, base: Value, part: Value, _arguments: Mapping[str, Any]
) -> Value:
    return ctx.emit(ops.Reshape(part, base.type.shape))


def _backwards(
    ctx: ConversionContext, base: Value, part: Value, _arguments: Mapping[str, Any]
) -> Value:
    return ctx.emit(ops.Transpose(part, tuple(reversed(range(base.type.rank)))))


def _matrices_swapped(
    ctx: ConversionContext, base: Value, part: Value, _arguments: Mapping[str, Any]
) -> Value:
    rank = base.type.rank
    return ctx.emit(ops.Transpose(part, (*range(rank - 2), *((rank - 1, rank - 2)[:rank]))))


def _moved(ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]) -> Value:
    order = moved_order(ctx, base.type.rank, arguments["source"], arguments["destination"])
    return ctx.emit(ops.Transpose(part, tuple(order.index(axis) for axis in range(len(order)))))


def _on_diagonal(
    ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]
) -> Value:
    places = [arguments[name] for name in ("offset", "dim1", "dim2")]
    return spans.put_diagonal(ctx, base, part, spans.Diagonal.of(ctx, base, *places))


def _swapped(
    ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]
) -> Value:
    order = list(range(base.type.rank))
    a, b = (axis for name, axis in arguments.items() if name[:-1] in ("dim", "axis"))
    if order:
        order[a], order[b] = order[b], order[a]
    return ctx.emit(ops.Transpose(part, tuple(order)))


def _permuted(
    ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]
) -> Value:
    order = [axis % base.type.rank for axis in arguments["dims"]]
    return ctx.emit(ops.Transpose(part, tuple(order.index(axis) for axis in range(len(order)))))


def _sliced(
    ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]
) -> Value:
    start, end = arguments.get("start"), arguments.get("end")
    span = spans.sliced(ctx, base, arguments["dim"], start, end, arguments.get("step", 1))
    return spans.put(ctx, base, part, span)


def _selected(
    ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]
) -> Value:
    return put_selected(ctx, base, part, arguments["dim"], arguments["index"])


def _narrowed(
    ctx: ConversionContext, base: Value, part: Value, arguments: Mapping[str, Any]
) -> Value:
    axis = ctx.axis(arguments["dim"], base.type.rank)
    if isinstance(arguments["start"], Value):
        places = run_time_places(ctx, base, axis, arguments["start"], arguments["length"])
        return spans.scattered(ctx, base, part, places, axis)
    start = spans.from_front(ctx, arguments["start"], base.type.shape[axis])
    return spans.put(ctx, base, part, spans.Span(axis, start, arguments["length"]))


_SCATTERS: dict[str, Callable[[ConversionContext, Value, Value, Mapping[str, Any]], Value]] = {
    "aten::view": _reshaped,
    "aten::_unsafe_view": _reshaped,
    "aten::unflatten": _reshaped,
    "aten::unsqueeze": _reshaped,
    "aten::squeeze": _reshaped,
    "aten::view_as": _reshaped,
    "aten::_reshape_alias": _reshaped,
    "aten::atleast_1d": _reshaped,
    "aten::atleast_2d": _reshaped,
    "aten::atleast_3d": _reshaped,
    "aten::transpose": _swapped,
    "aten::swapaxes": _swapped,
    "aten::swapdims": _swapped,
    "aten::t": _backwards,
    "aten::numpy_T": _backwards,
    "aten::matrix_H": _backwards,
    "aten::mT": _matrices_swapped,
    "aten::mH": _matrices_swapped,
    "aten::adjoint": _matrices_swapped,
    "aten::permute": _permuted,
    "aten::movedim": _moved,
    "aten::moveaxis": _moved,
    "aten::slice": _sliced,
    "aten::select": _selected,
    "aten::narrow": _narrowed,
    "aten::diagonal": _on_diagonal,
    "aten::linalg_diagonal": _on_diagonal,
}
