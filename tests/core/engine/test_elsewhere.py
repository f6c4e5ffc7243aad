"""Engines for a device that this machine has not: built and saved here, loaded there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import toy_backend

from fwd_core import Builder, Engine, Plugins, hookimpl
from fwd_core.backends import Availability, Plan, Port
from fwd_core.errors import BuildError, EngineFileError, ForwardError
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


class RefusingBackend(toy_backend.ToyBackend):
    """Its device is here, and refuses plans of long ago."""

    def load(
        self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]
    ) -> toy_backend.ToyExecutable:
        if plan.manifest["device"] == "here" and self.old:
            type(self).old = False
            raise BuildError(
                "toy refuses the plan", expected="new", got="old", details=["its words"], hint="?"
            )
        return super().load(plan, ports)

    old = False


class Refusing:
    @hookimpl
    def fwd_register_backends(self, register: reg.BackendRegister) -> None:
        register.add(RefusingBackend(), override=True)


def _built(plugins: Plugins, *, embed_graph: bool = False) -> Engine:
    builder = Builder(backend="toy", plugins=plugins, embed_graph=embed_graph)
    return builder.build(toy_backend.Layers([("relu",)]), (np.ones(3, np.float32),))


def test_it_is_built_and_saved_but_does_not_run(plugins: Plugins, tmp_path: Path) -> None:
    with _built(plugins) as engine:
        engine.save(tmp_path / "there.engine")
        with pytest.raises(BuildError, match="an engine of elsewhere runs there"):
            engine(np.ones(3, np.float32))


@pytest.mark.parametrize("rebuild", [False, True])
def test_its_file_does_not_load_here(plugins: Plugins, tmp_path: Path, rebuild: bool) -> None:
    path = tmp_path / "there.engine"
    _built(plugins, embed_graph=True).save(path)
    # To build it again is no help: what is missing is the device.
    with pytest.raises(
        EngineFileError,
        match="the engine cannot run here, because an engine of elsewhere runs there\n"
        f"  at {path}\n  Hint: load it on a machine like the one that it was built for",
    ):
        Engine.load(path, plugins=plugins, rebuild=rebuild)


def test_a_plan_that_the_device_refuses_is_made_again_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = toy_backend.plugins(refusing=Refusing())
    path = tmp_path / "old.engine"
    _built(plugins, embed_graph=True).save(path)
    monkeypatch.setattr(RefusingBackend, "old", True)
    with pytest.raises(
        EngineFileError,
        match=f"the engine cannot run here, because toy refuses the plan\n  at {path}\n"
        "  expected: new\n  got:      old\n  its words\n  Hint: load it on a machine like the one",
    ):
        Engine.load(path, plugins=plugins)
    monkeypatch.setattr(RefusingBackend, "old", True)
    loaded = Engine.load(path, plugins=plugins, rebuild=True)
    np.testing.assert_array_equal(loaded(np.ones(3, np.float32)), np.ones(3))


def test_closed_before_it_was_loaded(plugins: Plugins) -> None:
    engine = _built(plugins)
    engine.close()
    with pytest.raises(ForwardError, match="the engine is closed\n  Hint: build or load it again"):
        engine(np.ones(3, np.float32))
