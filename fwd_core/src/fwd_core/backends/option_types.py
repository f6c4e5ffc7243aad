"""Whether the values of options are of the types that a backend declares."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Union

from fwd_core.errors import OptionError

_NAMES: dict[Any, str] = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "text",
    type(None): "None",
}


def check(options: type, backend: str, given: Mapping[str, Any]) -> None:
    """Refuse values of other types than the fields' annotations say.

    Checked are booleans, numbers, text, None, mappings as such, and sequences and unions of these.
    Python takes any text for true and compares no text with a number, so unchecked values give
    wrong engines or errors without a name.

    Args:
        options: The backend's dataclass of options.
        backend: Its name, for messages.
        given: Options by name; all are fields.

    Raises:
        OptionError: A value is of another type.
    """
    try:
        hints = typing.get_type_hints(options)
    except (NameError, TypeError):  # annotations that only type checkers can read
        return
    for name, value in given.items():
        choices = alternatives(hints[name])
        if not any(_fits(value, choice) for choice in choices):
            raise OptionError(
                f"option {name!r} of backend {backend!r}",
                expected=" or ".join(_described(choice) for choice in choices),
                got=repr(value),
                hint=f"leave it out for what it is by default{_default(options, name)}",
            )


def _default(options: type, name: str) -> str:
    default = getattr(options, name, None)  # where a dataclass keeps a field's default
    return "" if default is None else f", {default!r}"


def alternatives(hint: Any) -> list[Any]:
    """Members of a union; the hint itself if it is none."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return list(typing.get_args(hint))
    return [hint]


def _fits(value: object, kind: Any) -> bool:
    if kind in (int, float):  # True is no number of threads
        wanted = (int, float) if kind is float else int
        return isinstance(value, wanted) and not isinstance(value, bool)
    if kind in _NAMES:
        return isinstance(value, kind)
    if typing.get_origin(kind) is Mapping:
        return isinstance(value, Mapping)
    if typing.get_origin(kind) is Sequence:
        (member,) = typing.get_args(kind)
        return (
            isinstance(value, Sequence)
            and not isinstance(value, (str, bytes))
            and all(_fits(item, member) for item in value)
        )
    return True


def _described(kind: Any) -> str:
    if typing.get_origin(kind) is Sequence:
        return f"several of: {_described(typing.get_args(kind)[0])}"
    if typing.get_origin(kind) is Mapping:
        return "a mapping"
    return _NAMES.get(kind, str(kind))
