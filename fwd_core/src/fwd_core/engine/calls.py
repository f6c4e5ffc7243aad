"""Calls of an engine as calls of its source model: what was fixed at build is checked and left out.

A model may be called with its tensors only, or with everything that the engine was built with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fwd_core.errors import InputError
from fwd_core.ir.fixed import FixedArgument, value_text

_PLAIN = (type(None), bool, int, float, complex, str)


def without_fixed(
    fixed: Sequence[FixedArgument],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tensors: int,
    names: Collection[str],
) -> tuple[Sequence[Any], dict[str, Any]]:
    """The arguments of a call that are inputs of the engine.

    Args:
        fixed: What the engine was built with beside tensors.
        args: By position.
        kwargs: By name.
        tensors: How many arguments of the model hold tensors.
        names: Names of the engine's inputs; they come before equal names of fixed arguments.

    Raises:
        InputError: A fixed argument has another value, or comes twice.
    """
    by_name = {one.name: one for one in fixed if one.name not in names}
    rest = {}
    for name, value in kwargs.items():
        if name in by_name:
            _require(by_name[name], value)
        else:
            rest[name] = value
    found = {one.position: one for one in fixed if one.position < len(args)}
    if not _as_called(found, args, tensors):
        return args, rest
    kept = []
    for position, value in enumerate(args):
        one = found.get(position)
        if one is None:
            kept.append(value)
            continue
        if one.name in kwargs and one.name in by_name:
            raise InputError(f"inputs given by position and by name: {one.name}")
        _require(one, value)
    return kept, rest


def told(fixed: Sequence[FixedArgument]) -> str | None:
    """What is fixed, for a hint."""
    if not fixed:
        return None
    parts = [one.name if one.text is None else f"{one.name} = {one.text}" for one in fixed]
    return f"fixed when the engine was built: {', '.join(parts)}"


def _as_called(found: Mapping[int, FixedArgument], args: Sequence[Any], tensors: int) -> bool:
    """Whether positions are those of the model's arguments, and not of its tensors alone."""
    if len(args) > tensors:
        return True
    return all(isinstance(args[at], _PLAIN) or one.holds(args[at]) for at, one in found.items())


def _require(one: FixedArgument, value: object) -> None:
    if one.holds(value):
        return
    text = value_text(value)
    raise InputError(
        f"argument {one.name!r} was fixed when the engine was built",
        expected=one.text or "a value that cannot be compared any more",
        got=type(value).__name__ if text is None else text,
        hint="leave it out, or build another engine for this value"
        if one.text is not None
        else "leave it out",
    )
