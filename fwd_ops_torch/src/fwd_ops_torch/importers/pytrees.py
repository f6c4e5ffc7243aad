"""Torch's pytree specs as Forward's structures."""

from __future__ import annotations

from collections.abc import Mapping
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
    kind, context = spec.type, spec.context
    if kind is list:
        return {"list": members}
    if kind is tuple or (isinstance(kind, type) and issubclass(kind, tuple)):
        return {"tuple": members}
    keys = _keys(context, len(members))
    if keys is not None:
        return {"dict": [[key, member] for key, member in zip(keys, members, strict=True)]}
    if not members:
        return None
    raise ConversionError(
        f"the model returns a {getattr(kind, '__name__', kind)}, which is no tuple, list or dict",
        hint="return a tuple or a dict of tensors",
    )


def call_structure(spec: Any) -> tuple[list[int], Mapping[str, int]]:
    """How many leaves each positional and each keyword argument of a program has."""
    positional, keywords = spec.children()
    names = _keys(keywords.context, len(keywords.children())) or []
    return (
        [child.num_leaves for child in positional.children()],
        {
            str(name): child.num_leaves
            for name, child in zip(names, keywords.children(), strict=True)
        },
    )


def _keys(context: Any, count: int) -> list[Any] | None:
    """Keys in a dict's context: a list of them, possibly with more beside it."""
    if isinstance(context, tuple) and context and isinstance(context[0], (list, tuple)):
        context = context[0]
    if isinstance(context, (list, tuple)) and len(context) == count:
        return list(context)
    return None
