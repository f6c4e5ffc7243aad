"""What packs have registered: keys, what stands behind them, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from fwd_core.errors import PluginError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing."""

    key: str
    item: T
    owner: str
    override: bool = False


class Registry(Mapping[str, T]):
    """A read-only mapping of keys to what packs registered, filled by :class:`Plugins`.

    Args:
        title: What is registered, in the singular, for error texts: ``converter``.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._entries: dict[str, Entry[T]] = {}

    def claim(self, entry: Entry[T]) -> None:
        """Take in one entry.

        Raises:
            PluginError: The key is taken and the entry does not override, or both override.
        """
        held = self._entries.get(entry.key)
        if held is not None and held.override and not entry.override:
            return  # the override was registered first; order must not matter
        if held is not None and held.override == entry.override:
            both = "both override" if entry.override else "both register"
            raise PluginError(
                f"{both} {self.title} {entry.key!r}: packs {held.owner!r} and {entry.owner!r}",
                hint=(
                    f"disable one with FWD_DISABLE_PACKS={entry.owner}, "
                    "or let one register with override=True"
                ),
            )
        self._entries[entry.key] = entry

    def owner(self, key: str) -> str:
        """The pack whose entry is used for a key."""
        return self._entries[key].owner

    def entries(self) -> Iterator[Entry[T]]:
        """All entries in use, in order of registration."""
        yield from self._entries.values()

    def __getitem__(self, key: str) -> T:
        return self._entries[key].item

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
