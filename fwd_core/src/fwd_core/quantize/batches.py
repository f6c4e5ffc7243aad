"""Batches of data of any kind, and where each of them is from."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fwd_core.backends.base import Port
from fwd_core.errors import CalibrationError, DeviceError, InputError


class Counted:
    """An iterable that is known to give so many items, or about so many.

    Args:
        items: What to go through.
        count: How many items it gives, or ``None``.
    """

    def __init__(self, items: Iterable[Any], count: int | None) -> None:
        self._items = items
        self._count = count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __length_hint__(self) -> Any:  # or NotImplemented
        return NotImplemented if self._count is None else self._count


def count_of(items: Iterable[Any]) -> int | None:
    """How many items an iterable says that it gives, if it says so."""
    try:
        found = operator.length_hint(items, -1)
    except Exception:  # noqa: BLE001 - a stranger's length may raise anything, and is not needed
        return None
    return None if found < 0 else found


class FromFile(dict[str, Any]):
    """A batch that tells where it is from.

    Args:
        arrays: Arrays by input name.
        source: The file, and which part of it.
    """

    def __init__(self, arrays: Mapping[str, Any], source: str) -> None:
        super().__init__(arrays)
        self.source = source


class NamedArrays(tuple[Any, ...]):
    """A batch in an order of its own, which tells what each array is called.

    Args:
        arrays: In the order of the names.
        names: What models are known to call these.
    """

    names: tuple[str, ...]

    def __new__(cls, arrays: Iterable[Any], names: Iterable[str]) -> NamedArrays:
        """A tuple of the arrays."""
        batch = super().__new__(cls, arrays)
        batch.names = tuple(names)
        return batch


class MadeUp(dict[str, Any]):
    """A batch of random numbers, which tells times: ids in it may mean nothing."""


def place_of(index: int, batch: object = None) -> str:
    """Where a batch is, for errors: its number and the file that it is from, if it tells one."""
    file = f": {batch.source}" if isinstance(batch, FromFile) else ""
    return f"batch {index} (the first is 0){file}"


@contextmanager
def at(place: str) -> Iterator[None]:
    """Tell which batch does not fit, in errors of a block of work that name no place."""
    try:
        yield
    except (InputError, CalibrationError, DeviceError) as error:
        if place:
            error.located(place)
        raise


def batches_of(items: Iterable[Any], ports: Sequence[Port]) -> Iterator[Mapping[str, Any]]:
    """Batches of any kind as mappings by input name.

    Args:
        items: A mapping by name, a sequence in the order of the inputs, or one array each. Labels
            after the inputs, as data loaders give them, are refused.
        ports: The graph's inputs.

    Raises:
        InputError: A batch is nothing of the kind.
    """
    rest, index = iter(items), 0
    while True:
        with at(place_of(index)):
            try:
                item = next(rest)
            except StopIteration:
                return
            feeds = _by_name(item, ports)
        yield feeds
        index += 1


def ordered(names: Sequence[str], ports: Sequence[Port]) -> list[int]:
    """Where the array of each input is, among arrays that are called so.

    By name where all inputs have one of the names, and else by position, where no name is at
    another position than the input of that name.

    Raises:
        CalibrationError: There are too few or too many, or a name says another order.
    """
    if all(port.name in names for port in ports):
        return [names.index(port.name) for port in ports]
    apart = [port.name for port, name in zip(ports, names, strict=False) if port.name != name]
    if len(names) == len(ports) and not set(apart) & set(names):
        return list(range(len(ports)))  # as in scripts that call their inputs otherwise
    raise CalibrationError(
        "the names of a batch's arrays are not those of the model's inputs",
        expected=", ".join(map(str, ports)),
        got=", ".join(names),
        hint="name the arrays that the model takes, in its order: inputs=[...] of a stream",
    )


def _by_name(item: Any, ports: Sequence[Port]) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if isinstance(item, NamedArrays):
        order = ordered(item.names, ports)
        return {port.name: item[at] for port, at in zip(ports, order, strict=True)}
    expected = ", ".join(map(str, ports))
    if isinstance(item, (list, tuple)):
        if len(item) != len(ports):
            raise InputError(
                "a batch holds another number of arrays than the model has inputs",
                expected=expected,
                got=len(item),
                hint="leave labels out: (images for images, _ in loader)",
            )
        return {port.name: one for port, one in zip(ports, item, strict=True)}
    if len(ports) != 1:
        raise InputError(
            f"a batch is one object, and the model has {len(ports)} inputs",
            expected=expected,
            got=type(item).__name__,
            hint="give a tuple in the order of the inputs, or a mapping by name",
        )
    return {ports[0].name: item}
