"""Computing the inputs that nobody gives, before each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fwd_core.backends.base import Port
from fwd_core.engine.inputs import as_array
from fwd_core.errors import EngineFileError, ForwardError, PluginError
from fwd_core.ir.derived import Derived
from fwd_core.plugins.advice import to_have_packs

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins

#: Makes arrays, one for each input that it gives, of those that it reads.
Maker = Callable[..., Sequence[NDArray[Any]]]


class Derivation:
    """What an engine adds to the inputs that it is given.

    Args:
        derived: What is made of what.
        makers: The functions, by name.
        ports: All inputs, in the order of the backend.

    Attributes:
        visible: Inputs that the caller gives.
    """

    def __init__(
        self, derived: Sequence[Derived], makers: Mapping[str, Maker], ports: Sequence[Port]
    ) -> None:
        hidden = {name for one in derived for name in one.gives}
        self._steps = [(one, makers[one.maker]) for one in derived]
        self._ports = tuple(ports)
        self._by_name = {port.name: port for port in ports}
        self.visible = tuple(port for port in ports if port.name not in hidden)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def complete(self, given: Sequence[Any]) -> list[Any]:
        """Arrays of all inputs, of those of the visible ones.

        What makers read is brought to the host; everything else is handed on as it is.

        Raises:
            InputError: What a maker reads cannot be brought to the host, or the maker refuses it.
            PluginError: A maker failed, or made something else than it promised.
        """
        values: dict[str, Any] = {
            port.name: item for port, item in zip(self.visible, given, strict=True)
        }
        for derived, maker in self._steps:
            read = [self._on_host(name, values[name]) for name in derived.reads]
            made = self._made(derived, maker, read)
            values.update(zip(derived.gives, made, strict=True))
        return [values[port.name] for port in self._ports]

    def made(self, given: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """What is added to given inputs, by name.

        Raises:
            InputError: As :meth:`complete`.
            PluginError: As :meth:`complete`.
        """
        hidden = {name for one, _ in self._steps for name in one.gives}
        everything = zip(self._ports, self.complete(given), strict=True)
        return {port.name: array for port, array in everything if port.name in hidden}

    def _made(self, derived: Derived, maker: Maker, read: list[NDArray[Any]]) -> list[Any]:
        try:
            made = list(maker(*read))
        except ForwardError:
            raise
        except Exception as error:  # a stranger's function may raise anything
            raise PluginError(
                f"input maker {derived.maker!r} failed on {', '.join(derived.reads)}",
                details=[f"{type(error).__name__}: {error}"],
                hint="report it to whoever wrote the pack",
            ) from error
        if len(made) != len(derived.gives):
            raise PluginError(
                f"input maker {derived.maker!r} made the wrong number of arrays",
                expected=f"{len(derived.gives)}: {', '.join(derived.gives)}",
                got=len(made),
            )
        ports = [self._by_name[name] for name in derived.gives]
        return [as_array(port, item) for port, item in zip(ports, made, strict=True)]

    def _on_host(self, name: str, given: Any) -> NDArray[Any]:
        # As torch, CuPy and this library's own arrays call it.
        for method in ("cpu", "get", "numpy"):
            if hasattr(given, method) and hasattr(given, "__dlpack__"):
                given = getattr(given, method)()
                break
        return as_array(self._by_name[name], given)


def makers_of(
    derived: Sequence[Derived], plugins: Plugins, packs: Sequence[str] = ()
) -> dict[str, Maker]:
    """The functions that inputs need.

    Args:
        derived: What is made.
        plugins: Packs in use.
        packs: Names of those that the engine was built with.

    Raises:
        EngineFileError: No loaded pack has one of them.
    """
    found: dict[str, Maker] = {}
    for one in derived:
        maker = plugins.input_makers.get(one.maker)
        if maker is None:
            raise EngineFileError(
                f"inputs {', '.join(one.gives)} are made by {one.maker!r}, of no loaded pack",
                expected=one.maker,
                got=", ".join(plugins.input_makers) or "no maker of inputs",
                hint=to_have_packs(packs, plugins)
                or "install the pack that the engine was built with",
            )
        found[one.maker] = maker
    return found
