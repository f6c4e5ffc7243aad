"""Attributes of scripted modules while the program runs: numbers, lists and dicts beside tensors.

A model may change them, and its next run sees what this one left. An engine cannot: every run of
it is the first. So a change is an error if the model has read what was stored; what it overwrites
before it reads it makes no difference to any run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fwd_core.ir import Location
from fwd_ops_torch.importers.aliasing import TensorRef

#: A module and the name of its attribute.
Key = tuple[Any, str]


class Attributes:
    """What attributes hold now, what was stored of those that were read, and who wrote."""

    def __init__(self) -> None:
        self._now: dict[Key, Any] = {}
        self._stored: dict[Key, Any] = {}
        self._paths: dict[Key, str] = {}
        self._writes: dict[Key, Location] = {}
        # The containers are held here too, so that no other object gets their id.
        self._containers: dict[int, tuple[Any, Key]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._now

    def read(self, key: Key, path: str, stored: Callable[[], Any]) -> Any:
        """What an attribute holds now.

        Args:
            key: The attribute.
            path: Its dotted name.
            stored: Gives what the module holds, when it is read first.
        """
        if key not in self._now:
            value = stored()
            self._now[key], self._stored[key], self._paths[key] = value, _frozen(value), path
            self._own(value, key)
        return self._now[key]

    def write(self, key: Key, value: Any, where: Location) -> None:
        """Assign to an attribute."""
        self._now[key] = value
        self._writes.setdefault(key, where)

    def written_to(self, container: Any, where: Location) -> None:
        """Note that an operator writes to a list or dict, which may be an attribute's."""
        _, key = self._containers.get(id(container), (None, None))
        if key is not None:
            self._writes.setdefault(key, where)

    def held(self) -> Iterator[Any]:
        """What the attributes hold that were read or written."""
        yield from self._now.values()

    def changed(self) -> Iterator[tuple[str, Location | None]]:
        """Dotted names of attributes that were read and are not what they were, and who wrote."""
        for key, stored in self._stored.items():
            if not _same(_frozen(self._now[key]), stored):
                yield self._paths[key], self._writes.get(key)

    def _own(self, value: Any, key: Key) -> None:
        if isinstance(value, (list, dict)):
            self._containers[id(value)] = (value, key)
        if isinstance(value, (list, tuple, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                self._own(item, key)


def _frozen(value: Any) -> Any:
    """What a value holds, as tuples that no operator changes."""
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, TensorRef) or isinstance(b, TensorRef):
        return a is b
    return a is b or (type(a) is type(b) and bool(a == b))
