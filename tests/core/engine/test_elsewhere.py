"""Engines for a device that this machine has not: built and saved here, loaded there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import toy_backend

from fwd_core import Builder, Engine, Plugins, hookimpl
from fwd_core.backends import Availability, Plan, Port
from fwd_core.errors import BuildError, ForwardError
from fwd_core.plugins import registers as reg


class ElsewhereBackend(toy_backend.ToyBackend):
    """Compiles for a device that is not here."""

    def availability(self) -> Availability:
        return Availability(True, False, "its device is not here")

    def load(
        self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]
    ) -> toy_backend.ToyExecutable:
        raise BuildError("an engine of elsewhere runs there")


class Pack:
    @hookimpl
    def fwd_register_backends(self, register: reg.BackendRegister) -> None:
        register.add(ElsewhereBackend(), override=True)


@pytest.fixture
def plugins() -> Plugins:
    return toy_backend.plugins(elsewhere=Pack())


def _built(plugins: Plugins) -> Engine:
    builder = Builder(backend="toy", plugins=plugins)
    return builder.build(toy_backend.Layers([("relu",)]), (np.ones(3, np.float32),))


def test_it_is_built_and_saved_but_does_not_run(plugins: Plugins, tmp_path: Path) -> None:
    with _built(plugins) as engine:
        engine.save(tmp_path / "there.engine")
        with pytest.raises(BuildError, match="an engine of elsewhere runs there"):
            engine(np.ones(3, np.float32))


def test_its_file_does_not_load_here(plugins: Plugins, tmp_path: Path) -> None:
    _built(plugins).save(tmp_path / "there.engine")
    with pytest.raises(BuildError, match="an engine of elsewhere runs there"):
        Engine.load(tmp_path / "there.engine", plugins=plugins)


def test_closed_before_it_was_loaded(plugins: Plugins) -> None:
    engine = _built(plugins)
    engine.close()
    with pytest.raises(ForwardError, match="the engine is closed\n  Hint: build or load it again"):
        engine(np.ones(3, np.float32))
