"""Decorators that mark functions for registration. Marking changes nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fwd_core.ir.operator import Operator

Function = TypeVar("Function", bound=Callable[..., Any])
#: Takes the lowering context and the operator; returns why not, or ``None``.
Unless = Callable[[Any, Any], "str | None"]
_LOWERING = "__fwd_lowering__"


@dataclass(frozen=True)
class LoweringMark:
    """For which backend and operators a function is a lowering."""

    backend: str
    operators: tuple[type[Operator], ...]
    override: bool
    unless: Unless | None


def lowering(
    backend: str,
    *operators: type[Operator],
    override: bool = False,
    unless: Unless | None = None,
) -> Callable[[Function], Function]:
    """Mark a function as the lowering of operators on a backend.

    The function takes the backend's lowering context and the operator, and returns the
    backend's tensor, or a tuple of them for an operator with several outputs.

    Args:
        backend: Name of the backend.
        operators: Operator classes that the function handles.
        override: Replace the lowering of another pack.
        unless: Says why an operator cannot be lowered with its attributes and types, before
            anything is built; its ``decompose`` is tried then.

    Example:
        >>> from fwd_core import lowering
        >>> from fwd_core.ir import ops
        >>> @lowering("openvino", ops.Relu)
        ... def relu(ctx, op):
        ...     return ctx.opset.relu(ctx[op.x])
    """

    def mark(function: Function) -> Function:
        setattr(function, _LOWERING, LoweringMark(backend, operators, override, unless))
        return function

    return mark


def lowering_mark(function: Callable[..., Any]) -> LoweringMark | None:
    """The mark of a function, if it has one."""
    mark = getattr(function, _LOWERING, None)
    return mark if isinstance(mark, LoweringMark) else None


def marked_in(module: ModuleType, attribute: str) -> Iterator[Callable[..., Any]]:
    """Functions of a module that carry a mark, in the order of the file."""
    for member in vars(module).values():
        if callable(member) and getattr(member, "__module__", None) == module.__name__:
            if hasattr(member, attribute):
                yield member
