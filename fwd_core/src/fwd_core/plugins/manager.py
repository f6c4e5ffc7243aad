"""Finding packs, asking their hooks, and keeping what they register."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from fwd_core import hookspecs
from fwd_core.errors import ForwardWarning, PluginError
from fwd_core.events import Event
from fwd_core.plugins import registers as reg
from fwd_core.plugins.registry import Registry

if TYPE_CHECKING:
    from fwd_core.backends.base import Backend
    from fwd_core.engine.derived import Maker
    from fwd_core.importing import Importer
    from fwd_core.ir.operator import Operator
    from fwd_core.plugins.build_option import BuildOption
    from fwd_core.quantize.algorithms import Algorithm
    from fwd_core.testing.reference import Reference

T = TypeVar("T")
GROUP = "fwd"
ONLY, DISABLE, TRACE = "FWD_PACKS", "FWD_DISABLE_PACKS", "FWD_TRACE_HOOKS"
#: The pack with the operators, backends and commands of the core cannot be left out.
ESSENTIAL = "core"


@dataclass
class Pack:
    """One pack, loaded or not.

    Attributes:
        name: Name of its entry point.
        distribution: Name of the installed distribution, ``""`` for one registered by hand.
        version: Version of the distribution.
        hooks: Hooks that it implements.
        failure: Why it is not used (in part: one hook of it failed), or ``""``.
        disabled: Whether an environment variable left it out.
    """

    name: str
    distribution: str = ""
    version: str = ""
    hooks: list[str] = field(default_factory=list)
    failure: str = ""
    disabled: bool = False


class Plugins:
    """All packs of one session and what they registered.

    A :class:`~fwd_core.Builder` is handed one of these; nothing is kept in module globals.

    Args:
        packs: Modules or objects with hook implementations, by name. For packs installed in
            the environment use :meth:`discover`.
        trace: Print every hook call to standard error.

    Raises:
        PluginError: A hook implementation names parameters that the hook does not have.
    """

    def __init__(self, packs: Mapping[str, object] | None = None, *, trace: bool = False) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        if trace:
            self._manager.trace.root.setwriter(_to_stderr)
            self._manager.enable_tracing()
        self.packs: dict[str, Pack] = {}
        self._made: dict[Callable[[Plugins], Any], Any] = {}
        self._listeners: list[tuple[Pack, Callable[..., Any]]] | None = None
        self._silenced: set[str] = set()
        self._told: dict[str, str] = {}
        for name, module in (packs or {}).items():
            self.register(name, module)

    @classmethod
    def discover(cls, environ: Mapping[str, str] | None = None) -> Plugins:
        """Load every installed pack.

        ``FWD_PACKS=a,b`` loads exactly these (and the core), ``FWD_DISABLE_PACKS=c`` leaves
        some out, ``FWD_TRACE_HOOKS=1`` prints hook calls. A pack that fails to import is kept
        in :attr:`packs` with the reason, and the others load.

        Raises:
            PluginError: A variable names a pack that is not installed.
        """
        environ = os.environ if environ is None else environ
        plugins = cls(trace=environ.get(TRACE, "0") not in ("", "0"))
        found: dict[str, metadata.EntryPoint] = {}
        clashes: dict[str, list[metadata.EntryPoint]] = {}
        for point in metadata.entry_points(group=GROUP):
            if found.setdefault(point.name, point) is not point:
                clashes.setdefault(point.name, [found[point.name]]).append(point)
        only = _names(environ, ONLY, found)
        disabled = _names(environ, DISABLE, found) or set()
        for name, point in sorted(found.items(), key=lambda item: (item[0] != ESSENTIAL, item[0])):
            pack = Pack(name)
            if point.dist is not None:
                pack.distribution, pack.version = point.dist.name, point.dist.version
            wanted = only is None or name in only
            if name != ESSENTIAL and (not wanted or name in disabled):
                pack.disabled = True
                plugins.packs[name] = pack
                continue
            if name in clashes:
                owners = [one.dist.name if one.dist else one.value for one in clashes[name]]
                pack.failure = f"several distributions have a pack {name!r}: {', '.join(owners)}"
                plugins.packs[name] = pack
                continue
            try:
                module = point.load()
            except KeyboardInterrupt:
                raise
            # A stranger's module may raise anything while it imports, and even exit; extensions
            # in Rust raise their panics as BaseException.
            except BaseException as error:  # noqa: BLE001
                pack.failure = _reason(error)
                plugins.packs[name] = pack
                continue
            plugins.register(name, module, pack)
        return plugins

    def register(self, name: str, module: object, pack: Pack | None = None) -> None:
        """Add one pack by hand, for example in a script or a test.

        Raises:
            PluginError: The name is taken, or a hook implementation is not valid.
        """
        if self._manager.has_plugin(name):
            raise PluginError(f"two packs are called {name!r}", hint="give one another name")
        installed = pack is not None
        pack = pack if pack is not None else Pack(name)
        failure = ""
        if type(module).__hash__ is None:
            failure = f"a {type(module).__name__} cannot hold hooks: it is not hashable"
        elif (other := self._manager.get_name(module)) is not None:
            failure = f"its hooks are those of pack {other!r} already"
        else:
            try:
                self._manager.register(module, name)
                self._manager.check_pending()
            except pluggy.PluginValidationError as error:
                failure = str(error)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - listing its names runs its code
                failure = _reason(error)
            if failure and self._manager.has_plugin(name):
                self._manager.unregister(name=name)
        if failure and not installed:
            raise PluginError(f"pack {name!r}: {failure}")
        pack.failure = failure
        if not failure:
            callers = self._manager.get_hookcallers(module) or []
            pack.hooks = sorted(caller.name for caller in callers)
        self.packs[name] = pack
        self._listeners = None

    def failures(self) -> list[str]:
        """One line for each pack that is not used, or only in part, with the reason."""
        return [
            f"pack {pack.name!r}: {pack.failure}" for pack in self.packs.values() if pack.failure
        ]

    def warn_of_failures(self) -> None:
        """Warn of each pack that is not used, or only in part, unless it was told before."""
        for pack in self.packs.values():
            if pack.failure and self._told.get(pack.name) != pack.failure:
                self._told[pack.name] = pack.failure
                # The place is this line for every caller, so that Python shows equal texts once.
                warnings.warn(
                    f"pack {pack.name!r} is not used, or only in part: {pack.failure}",
                    ForwardWarning,
                    stacklevel=1,
                )

    # --- what was registered; each property asks its hook once ----------------------------------

    @cached_property
    def operators(self) -> Registry[type[Operator]]:
        """Operator classes by qualified name."""
        return self._ask("fwd_register_operators", "operator", reg.OperatorRegister)

    @cached_property
    def importers(self) -> Registry[Importer]:
        """Importers by name."""
        return self._ask("fwd_register_importers", "importer", reg.ImporterRegister)

    @cached_property
    def converters(self) -> Registry[reg.Converter]:
        """Converters by qualified operator of the source framework."""
        return self._ask("fwd_register_converters", "converter", reg.ConverterRegister)

    @cached_property
    def lowerings(self) -> Registry[reg.Lowering]:
        """Lowerings by ``backend:operator``."""
        return self._ask("fwd_register_lowerings", "lowering", reg.LoweringRegister)

    @cached_property
    def rewrites(self) -> Registry[reg.StagedRewrite]:
        """Rewrites by name, with their stages and conditions."""
        return self._ask("fwd_register_rewrites", "rewrite", reg.RewriteRegister)

    @cached_property
    def backends(self) -> Registry[Backend]:
        """Backends by name."""
        return self._ask("fwd_register_backends", "backend", reg.BackendRegister)

    @cached_property
    def algorithms(self) -> Registry[Algorithm]:
        """Calibration algorithms by name."""
        return self._ask(
            "fwd_register_calibration_algorithms", "calibration algorithm", reg.AlgorithmRegister
        )

    @cached_property
    def input_makers(self) -> Registry[Maker]:
        """Functions that make inputs of engines, by name."""
        return self._ask("fwd_register_input_makers", "input maker", reg.InputMakerRegister)

    @cached_property
    def build_options(self) -> Registry[BuildOption]:
        """Options of builds that packs add, by name."""
        return self._ask("fwd_register_build_options", "build option", reg.BuildOptionRegister)

    @cached_property
    def references(self) -> Registry[Reference]:
        """References by name."""
        return self._ask("fwd_register_references", "reference", reg.ReferenceRegister)

    @cached_property
    def commands(self) -> Registry[Callable[..., Any]]:
        """Subcommands by name."""
        return self._ask("fwd_register_commands", "command", reg.CommandRegister)

    def once(self, make: Callable[[Plugins], T]) -> T:
        """What ``make`` makes of these packs, made at the first call and kept.

        For what follows from the registries and is needed for every model, such as an index.
        """
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made

    def send(self, event: Event) -> None:
        """Tell every pack of progress. One whose hook raises hears no more, with a warning."""
        listeners = self._listeners
        if listeners is None:
            listeners = [
                one for one in self._callers("fwd_event") if one[0].name not in self._silenced
            ]
            listeners.reverse()  # pluggy asks the last that was registered first
            self._listeners = listeners
        for pack, tell in listeners:
            try:
                tell(event=event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a stranger's hook may raise anything
                self._silenced.add(pack.name)
                self._listeners = None
                told = self._told.get(pack.name, "") == pack.failure
                _note_failure(pack, "fwd_event", error)
                if told:  # the rest is told below
                    self._told[pack.name] = pack.failure
                warnings.warn(
                    f"pack {pack.name!r} is told of progress no more: its hook fwd_event raised "
                    f"{_reason(error)}",
                    ForwardWarning,
                    stacklevel=2,
                )

    def _ask(
        self, hook: str, title: str, kind: Callable[[str], reg.Register[Any]]
    ) -> Registry[Any]:
        registry: Registry[Any] = Registry(title)
        for pack, ask in self._callers(hook):
            register = kind(pack.name)
            try:
                ask(register=register)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a stranger's hook may raise anything
                _note_failure(pack, hook, error)
                continue
            for entry in register.entries:
                registry.claim(entry)
        return registry

    def _callers(self, hook: str) -> list[tuple[Pack, Callable[..., Any]]]:
        """A hook of each pack that has it, apart, so that none can fail for the others."""
        plugins = self._manager.get_plugins()
        callers: list[tuple[Pack, Callable[..., Any]]] = []
        for name, module in self._manager.list_name_plugin():
            pack = self.packs.get(name)
            if module is None or pack is None or hook not in pack.hooks:
                continue
            others = [other for other in plugins if other is not module]
            callers.append((pack, self._manager.subset_hook_caller(hook, others)))
        return callers


def _names(environ: Mapping[str, str], variable: str, found: Iterable[str]) -> set[str] | None:
    text = environ.get(variable)
    if text is None:
        return None
    names = {part.strip() for part in text.split(",") if part.strip()}
    if unknown := sorted(names - set(found)):
        raise PluginError(
            f"{variable} names packs that are not installed: {', '.join(unknown)}",
            expected=f"installed packs: {', '.join(sorted(found)) or 'there are none'}",
            hint=f"correct {variable}, or unset it",
        )
    return names


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)


def _note_failure(pack: Pack, hook: str, error: BaseException) -> None:
    told = f"{hook}: {_reason(error)}"
    pack.failure = f"{pack.failure}; {told}" if pack.failure else told


def _reason(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
