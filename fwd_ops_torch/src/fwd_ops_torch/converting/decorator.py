"""Marking a function as the converter of torch operators."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fwd_core.plugins.registers import CONVERTER_KEYS

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__fwd_torch_converter__"
_KEY = re.compile(r"^\w+::\w+$")


@dataclass(frozen=True)
class ConverterMark:
    """What a converter says of arguments that are not its parameters.

    Attributes:
        no_effect: Arguments that cannot change the result of inference, with why.
        unsupported: Arguments that are taken only at their default, with why.
    """

    no_effect: Mapping[str, str] = field(default_factory=dict)
    unsupported: Mapping[str, str] = field(default_factory=dict)


def converts(
    *keys: str,
    no_effect: Mapping[str, str] | None = None,
    unsupported: Mapping[str, str] | None = None,
) -> Callable[[Function], Function]:
    """Mark a function as the converter of operators, for every overload that takes tensors.

    The function's first parameter is the :class:`ConversionContext`. The second takes the
    schema's first argument; all others bind by the exact names of the schema, with the schema's
    defaults. Names that are Python keywords get a trailing underscore. Tensors arrive as
    ``Value``, sizes and integers as ``int`` or ``Dim``, dtypes as ``DType``.

    Args:
        keys: Qualified operators without overload: ``aten::relu``.
        no_effect: Arguments to leave out because they cannot change the result, with why.
        unsupported: Arguments that raise unless they have their default, with why.

    Raises:
        ValueError: A key is not of the form ``namespace::operator``.

    Example:
        >>> from fwd_core.ir import Value, ops
        >>> @converts("aten::leaky_relu", "aten::leaky_relu_")
        ... def leaky_relu(ctx, x: Value, negative_slope: float = 0.01) -> Value:
        ...     '''aten::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor.'''
        ...     return ctx.emit(ops.LeakyRelu(x, alpha=float(negative_slope)))
    """
    for key in keys:
        if not _KEY.match(key):
            raise ValueError(f"converter key {key!r} is not of the form namespace::operator")

    def mark(function: Function) -> Function:
        setattr(function, CONVERTER_KEYS, keys)
        setattr(function, _MARK, ConverterMark(dict(no_effect or {}), dict(unsupported or {})))
        return function

    return mark


def converter_mark(function: Callable[..., Any]) -> ConverterMark:
    """The mark of a converter."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, ConverterMark) else ConverterMark()
