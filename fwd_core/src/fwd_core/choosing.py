"""Which importer reads a model, and which backend builds it."""

from __future__ import annotations

import os

from fwd_core import files
from fwd_core.backends.base import Backend
from fwd_core.engine.file import FORMAT
from fwd_core.errors import BuildError, EngineFileError, OptionError, UnsupportedModelError
from fwd_core.importing import Importer, hidden
from fwd_core.plugins import Plugins
from fwd_core.plugins.advice import closest, pip_install, to_have_torch


def importer_of(source: object, plugins: Plugins) -> Importer:
    """The importer that accepts a source, of several the one of the greatest priority.

    Raises:
        UnsupportedModelError: None does.
    """
    refuse_engine(source)
    importers = sorted(plugins.importers.values(), key=lambda one: -one.priority)
    for importer in importers:
        if importer.accepts(source):
            return importer
    is_path = isinstance(source, (str, os.PathLike))
    shown = str(source) if is_path else type(source).__name__
    raise UnsupportedModelError(
        f"no importer takes {shown}",
        expected=", ".join(one.name for one in importers if not hidden(one))
        or "a pack with importers",
        details=plugins.failures(),
        hint=None if importers else to_have_torch(plugins, "reads PyTorch models"),
    )


def refuse_engine(source: object) -> None:
    """Check that a source is no engine file. What else is wrong with it is told by importers.

    Raises:
        UnsupportedModelError: It is.
    """
    if not isinstance(source, (str, os.PathLike)) or not os.path.isfile(source):
        return
    try:
        found = files.format_of(source)
    except EngineFileError:
        return
    if found == FORMAT:
        raise UnsupportedModelError(
            f"{os.fspath(source)} is an engine, which is built already",
            expected="a model",
            hint="forward.load(path) loads it, and `fwd run` and `fwd bench` take it",
        )


def backend_of(name: str, plugins: Plugins) -> Backend:
    """The backend of a name, or for ``auto`` the first that can build and run here.

    Raises:
        OptionError: There is no backend of that name.
        BuildError: It cannot build here, or (``auto``) none can run here.
    """
    backends = plugins.backends
    if name != "auto":
        if (chosen := backends.get(name)) is None:
            raise OptionError(
                f"there is no backend {name!r}",
                expected=", ".join(["auto", *backends]),
                details=plugins.failures(),
                hint=closest(name, backends),
            )
        if not (state := chosen.availability()).build:
            raise BuildError(
                f"backend {chosen.name!r} cannot build here",
                details=[state.reason],
                hint=state.advice or None,
            )
        return chosen
    reasons = []
    for backend in sorted(backends.values(), key=lambda one: -one.priority):
        state = backend.availability()
        if state.build and state.run:
            return backend
        reasons.append(f"{backend.name}: {state.reason}")
    raise BuildError(
        "no backend can run on this machine",
        details=reasons + plugins.failures(),
        hint=f"{pip_install('openvino')} runs on any CPU",
    )
