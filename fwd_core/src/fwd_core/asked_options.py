"""Options of a build, dealt out to the backend and the packs that have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fwd_core.backends.base import Backend, Options
from fwd_core.errors import OptionError
from fwd_core.plugins import Plugins
from fwd_core.plugins.advice import on_option


@dataclass(frozen=True)
class Asked:
    """Options as they were given.

    Attributes:
        options: By name.
        plugins: Packs in use.
        automatic: Whether the backend is chosen by what the machine has.
    """

    options: Mapping[str, Any]
    plugins: Plugins
    automatic: bool

    def of_backend(self, backend: Backend) -> Options:
        """Those of a backend, as it takes them.

        Raises:
            OptionError: Neither the backend nor a pack has one of them, or it refuses the value.
        """
        asked = self.of_packs(backend)
        own = {name: value for name, value in self.options.items() if name not in asked}
        known = self.names(backend)
        for name in own:
            if name not in known:
                raise OptionError(
                    f"backend {backend.name!r} has no option {name!r}",
                    expected=", ".join(known) or "no options",
                    details=self.plugins.failures(),
                    hint=on_option(str(name), known, self.plugins),
                )
        return backend.options.parse(backend.name, own)

    def of_packs(self, backend: Backend) -> dict[str, Any]:
        """Those that a pack adds, with their values as it takes them."""
        known = _names(backend)
        return {
            name: self.plugins.build_options[name].parse(value)
            for name, value in self.options.items()
            if name not in known and name in self.plugins.build_options
        }

    def names(self, backend: Backend) -> list[str]:
        """All options of a backend, and those that packs add."""
        return [*_names(backend), *self.plugins.build_options]

    def owners(self, option: str) -> list[str]:
        """Names of the backends that have an option."""
        return [
            name for name, backend in self.plugins.backends.items() if option in _names(backend)
        ]

    def require(self, backend: Backend) -> None:
        """Refuse an option that another backend has, with the way to get it.

        Raises:
            OptionError: As said.
        """
        known = _names(backend)
        for name in self.options:
            owners = [] if name in known else self.owners(name)
            if owners:
                chosen = ", which 'auto' chose here," if self.automatic else ""
                raise OptionError(
                    f"backend {backend.name!r}{chosen} has no option {name!r}",
                    expected=", ".join(self.names(backend)),
                    hint=f"leave it out, or choose backend={owners[0]!r}, which has it",
                )


def _names(backend: Backend) -> list[str]:
    return [item.name for item in dataclasses.fields(backend.options)]
