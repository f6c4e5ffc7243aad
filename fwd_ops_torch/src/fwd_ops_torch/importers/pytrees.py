"""Torch's pytree specs as Forward's structures."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

from fwd_core.errors import ConversionError
from fwd_core.ir.structure import LEAF, Structure


def structure_of(spec: Any) -> Structure:
    """The structure of a tree spec.

    Named tuples become tuples; dicts, ordered dicts and the output classes of transformers
    (which are dicts by another name) become dicts.

    Raises:
        ConversionError: The spec has a container that is none of these.
    """
    if spec.is_leaf():
        return LEAF
    members = [structure_of(child) for child in spec.children()]
    kind = _kind(spec)
    if kind in (list, tuple):
        return {kind.__name__: members}
    if kind is dict:
        keys = _keys(spec.context, len(members)) or []
        return {"dict": [[key, member] for key, member in zip(keys, members, strict=True)]}
    if not members:
        return None
    raise ConversionError(
        f"the model returns a {getattr(spec.type, '__name__', spec.type)}, which is no tuple, "
        "list or dict",
        hint="return a tuple or a dict of tensors",
    )


def arranged(value: Any, spec: Any) -> Any:
    """A value with its dicts in the order of a tree spec, so that leaves meet their placeholders.

    Raises:
        ValueError: The value is nested otherwise, or the spec has a container that is no tuple,
            list or dict.
    """
    kind, children = _kind(spec), spec.children()
    if kind is None:
        if isinstance(value, (list, tuple, Mapping)) or children:
            raise ValueError(value)
        return value
    if kind is dict:
        keys = _keys(spec.context, len(children)) or []
        if not isinstance(value, Mapping) or set(value) != set(keys):
            raise ValueError(value)
        return {key: arranged(value[key], child) for key, child in zip(keys, children, strict=True)}
    if not isinstance(value, kind) or len(value) != len(children):
        raise ValueError(value)
    return rebuilt(value, [arranged(*pair) for pair in zip(value, children, strict=True)])


def rebuilt(like: Sequence[Any], items: Sequence[Any]) -> Any:
    """A list, tuple or named tuple of other items."""
    make: Any = getattr(like, "_make", type(like))  # a named tuple takes no iterable
    return make(items)


def call_specs(spec: Any) -> tuple[list[Any], Mapping[str, Any]]:
    """The specs of a program's positional and keyword arguments."""
    positional, keywords = spec.children()
    names = _keys(keywords.context, len(keywords.children())) or []
    return (
        list(positional.children()),
        {str(name): child for name, child in zip(names, keywords.children(), strict=True)},
    )


def _kind(spec: Any) -> Any:
    """``list``, ``tuple`` or ``dict``; ``None`` for a leaf and for other containers."""
    if spec.is_leaf():
        return None
    kind = spec.type
    if kind is list:
        return list
    # Torch says `collections.namedtuple`, a function, for every class of named tuples.
    if kind in (tuple, namedtuple) or (isinstance(kind, type) and issubclass(kind, tuple)):
        return tuple
    return dict if _keys(spec.context, len(spec.children())) is not None else None


def _keys(context: Any, count: int) -> list[Any] | None:
    """Keys in a dict's context: a list of them, possibly with more beside it."""
    if isinstance(context, tuple) and context and isinstance(context[0], (list, tuple)):
        context = context[0]
    if isinstance(context, (list, tuple)) and len(context) == count:
        return list(context)
    return None
