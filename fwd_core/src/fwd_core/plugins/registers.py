"""What hooks are handed: one typed object per kind of thing, with ``add`` methods.

Each collects entries for one pack. :class:`~fwd_core.plugins.Plugins` takes them in only when
the pack's hook has ended without error, so a hook that fails half-way leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from fwd_core.errors import PluginError
from fwd_core.plugins.markers import _LOWERING, lowering_mark, marked_in
from fwd_core.plugins.registry import Entry

if TYPE_CHECKING:
    from fwd_core.backends.base import Backend
    from fwd_core.engine.derived import Maker
    from fwd_core.importing import Importer
    from fwd_core.ir.operator import Operator
    from fwd_core.plugins.build_option import BuildOption
    from fwd_core.plugins.target import Condition
    from fwd_core.quantize.algorithms import Algorithm
    from fwd_core.rewrite.base import Rewrite
    from fwd_core.testing.reference import Reference

T = TypeVar("T")
Converter = Callable[..., Any]
Lowering = Callable[[Any, Any], Any]
CONVERTER_KEYS = "__fwd_converts__"


class Register(Generic[T]):
    """Base: collects the entries of one pack."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.entries: list[Entry[T]] = []

    def _take(self, key: str, item: T, override: bool = False) -> None:
        self.entries.append(Entry(key, item, self.owner, override))


class OperatorRegister(Register["type[Operator]"]):
    """Takes operator classes."""

    def add(self, cls: type[Operator]) -> None:
        """Register one class under its qualified name."""
        self._take(cls.kind(), cls)


class ImporterRegister(Register["Importer"]):
    """Takes importers."""

    def add(self, importer: Importer, *, override: bool = False) -> None:
        """Register one importer under its name."""
        self._take(importer.name, importer, override)


class ConverterRegister(Register[Converter]):
    """Takes converters: functions that a decorator has given keys."""

    def add(self, converter: Converter, *, override: bool = False) -> None:
        """Register one converter under each of its keys.

        Raises:
            PluginError: The function has no keys.
        """
        keys: tuple[str, ...] = getattr(converter, CONVERTER_KEYS, ())
        if not keys:
            raise PluginError(
                f"{converter!r} is no converter", hint='decorate it with @converts("ns::op")'
            )
        for key in keys:
            self._take(key, converter, override)

    def add_module(self, module: ModuleType, *, override: bool = False) -> None:
        """Register every converter of a module."""
        for function in marked_in(module, CONVERTER_KEYS):
            self.add(function, override=override)


class LoweringRegister(Register[Lowering]):
    """Takes lowerings: functions marked by :func:`fwd_core.lowering`."""

    def add(self, function: Lowering) -> None:
        """Register one lowering for each of its operators.

        Raises:
            PluginError: The function is not marked.
        """
        mark = lowering_mark(function)
        if mark is None:
            raise PluginError(
                f"{function!r} is no lowering", hint='decorate it with @lowering("backend", Op)'
            )
        for operator in mark.operators:
            self._take(lowering_key(mark.backend, operator), function, mark.override)

    def add_module(self, module: ModuleType) -> None:
        """Register every lowering of a module."""
        for function in marked_in(module, _LOWERING):
            self.add(function)


class StagedRewrite(NamedTuple):
    """A rewrite, when it runs, and for what."""

    rewrite: Rewrite
    stage: str
    when: Condition | None = None


class RewriteRegister(Register[StagedRewrite]):
    """Takes rewrites."""

    def add(
        self,
        rewrite: Rewrite,
        *,
        stage: Literal["clean-up", "fusion"],
        when: Condition | None = None,
    ) -> None:
        """Register one rewrite for a stage.

        Args:
            rewrite: The rewrite.
            stage: When it runs.
            when: Asked with a :class:`~fwd_core.plugins.target.Target` whether the rewrite is of
                use for it; without one it runs for all.

        Raises:
            PluginError: A rewrite of the clean-up has a condition: graphs are cleaned up before it
                is known what they are compiled for, and names must not depend on that.
        """
        if when is not None and stage == "clean-up":
            raise PluginError(
                f"rewrite {rewrite.name!r} has a condition, but stage 'clean-up' takes none",
                hint="names of tensors must be the same for every backend: register it for "
                "stage 'fusion', or without when=",
            )
        self._take(rewrite.name, StagedRewrite(rewrite, stage, when))


class BackendRegister(Register["Backend"]):
    """Takes backends."""

    def add(self, backend: Backend, *, override: bool = False) -> None:
        """Register one backend under its name."""
        self._take(backend.name, backend, override)


class AlgorithmRegister(Register["Algorithm"]):
    """Takes calibration algorithms."""

    def add(self, algorithm: Algorithm, *, override: bool = False) -> None:
        """Register one algorithm under its name."""
        self._take(algorithm.name, algorithm, override)


class InputMakerRegister(Register["Maker"]):
    """Takes functions that make inputs of engines of other inputs."""

    def add(self, function: Maker, *, name: str) -> None:
        """Register one function."""
        self._take(name, function)


class BuildOptionRegister(Register["BuildOption"]):
    """Takes options of builds."""

    def add(self, option: BuildOption) -> None:
        """Register one option under its name."""
        self._take(option.name, option)


class ReferenceRegister(Register["Reference"]):
    """Takes references: how a framework runs its own models."""

    def add(self, reference: Reference) -> None:
        """Register one reference under its name."""
        self._take(reference.name, reference)


class CommandRegister(Register[Callable[..., Any]]):
    """Takes subcommands of the program ``fwd``."""

    def add(self, function: Callable[..., Any], *, name: str, override: bool = False) -> None:
        """Register one subcommand."""
        self._take(name, function, override)


def lowering_key(backend: str, operator: type[Operator]) -> str:
    """Registry key of a lowering."""
    return f"{backend}:{operator.kind()}"
