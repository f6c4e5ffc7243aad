"""Arguments of a source model that are no tensors: an import fixes their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


@dataclass(frozen=True)
class FixedArgument:
    """One argument whose value is part of the graph.

    Values are kept as text: what frameworks hand to a model beside tensors is of types that only
    they know, and a file can hold text of all of them. The text tells types apart (``3``, ``3.0``
    and ``True`` are three values), as operators do.

    Attributes:
        position: Place among the arguments that the model was imported with.
        name: Name of the argument.
        text: The value as :func:`value_text` says it; ``None`` if it cannot be compared.
    """

    position: int
    name: str
    text: str | None

    def holds(self, value: object) -> bool:
        """Whether this is the value."""
        return self.text is not None and value_text(value) == self.text


def value_text(value: object) -> str | None:
    """A value as text that is equal for equal values of one type, and ``None`` if there is none.

    Lists and tuples read alike, and so do dicts in any order. Arrays, and objects that print as
    their address, have no such text.

    Example:
        >>> value_text((1, 2.0, None))
        '[1, 2.0, None]'
    """
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in _PLAIN:
        return repr(value)
    if isinstance(value, (list, tuple)):
        parts = [value_text(item) for item in value]
        return None if None in parts else f"[{', '.join(map(str, parts))}]"
    if isinstance(value, Mapping):
        pairs = [(value_text(key), value_text(item)) for key, item in value.items()]
        if any(None in pair for pair in pairs):
            return None
        return "{" + ", ".join(sorted(f"{key}: {item}" for key, item in pairs)) + "}"
    if hasattr(value, "__dlpack__") or hasattr(value, "__array__"):
        return None
    text = repr(value)
    return None if " at 0x" in text else text
