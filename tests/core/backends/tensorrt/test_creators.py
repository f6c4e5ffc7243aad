"""Plugins of packs, as far as they go where networks take none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

trt = pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import network

from fwd_core.backends.tensorrt import creators
from fwd_core.backends.tensorrt.context import TensorRTLowering
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.errors import BuildError, EngineFileError
from fwd_core.ir import DType, Graph, TensorType, ops

#: A flavour that takes plugins, on the network of one that does not.
TAKES = replace(ROWS["tensorrt_rtx", "1.7.1.116"], plugin_objects=True)
Provide = Callable[..., None]


class Creator(trt.IPluginCreatorV3One):  # type: ignore[misc, name-defined]
    """Makes nothing."""

    def __init__(self, name: str = "ForwardNothing", namespace: str = "tests") -> None:
        super().__init__()
        self.name, self.plugin_version, self.plugin_namespace = name, "1", namespace
        self.held = np.zeros(1, np.float32)
        field = trt.PluginField("epsilon", self.held, trt.PluginFieldType.FLOAT32)
        self.field_names = trt.PluginFieldCollection([field])

    def create_plugin(self, *_given: Any) -> None:
        """Refuse."""


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> Provide:
    """As a pack does, for one test. The library's own registry keeps what it was given."""
    monkeypatch.setattr(creators, "_PROVIDERS", {})

    def one(*made: Any) -> None:
        creators.provide("tests", lambda _trt: made)
        monkeypatch.setattr(creators, "creators", lambda _trt, namespace: made)

    return one


@contextmanager
def lowering() -> Iterator[TensorRTLowering]:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2,)))
    graph.set_outputs([graph.add(ops.Abs(x))], ["y"])
    with network(graph, TAKES) as ctx:
        yield ctx


def test_creators_are_made_and_registered_once(provide: Provide) -> None:
    made: list[ModuleType] = []

    def make(library: ModuleType) -> list[Any]:
        made.append(library)
        return [Creator("ForwardOnce", "tests once")]

    creators.provide("tests once", make)
    first = creators.creators(trt, "tests once")
    assert creators.creators(trt, "tests once") is first
    assert made == [trt]
    assert trt.get_plugin_registry().get_creator("ForwardOnce", "1", "tests once") is not None


def test_a_name_that_is_taken(provide: Provide) -> None:
    two = [Creator("ForwardTwice", "tests twice") for _ in range(2)]
    creators.provide("tests twice", lambda _trt: two)
    refusal = pytest.raises(BuildError, match="does not register plugin 'ForwardTwice' of 'tests t")
    with refusal as told:
        creators.creators(trt, "tests twice")
    assert "is another creator of that name and version registered" in str(told.value)


def test_a_creator_of_another_namespace(provide: Provide) -> None:
    creators.provide("tests apart", lambda _trt: [Creator("ForwardApart", "other")])
    message = "'ForwardApart' is of another namespace.*\n  expected: tests apart\n  got: +other"
    with pytest.raises(BuildError, match=message):
        creators.creators(trt, "tests apart")


def test_a_pack_that_provides_nothing(provide: Provide) -> None:
    with lowering() as ctx, pytest.raises(BuildError, match="nobody makes plugins of 'x'") as told:
        ctx.plugin_v3("x", "Y", {}, [])
    assert "fwd_register_backends" in str(told.value)


def test_a_plugin_that_a_pack_has_not(provide: Provide) -> None:
    provide(Creator())
    with (
        lowering() as ctx,
        pytest.raises(BuildError, match="there is no plugin Y of 'tests'") as told,
    ):
        ctx.plugin_v3("tests", "Y", {}, [])
    assert "expected: ForwardNothing" in str(told.value)


def test_a_field_that_a_plugin_has_not(provide: Provide) -> None:
    provide(Creator())
    message = "plugin ForwardNothing of 'tests' lacks a field\n  expected: delta"
    with lowering() as ctx, pytest.raises(BuildError, match=message):
        ctx.plugin_v3("tests", "ForwardNothing", {"delta": np.zeros(1, np.float32)}, [])


def test_a_creator_that_makes_nothing(provide: Provide) -> None:
    provide(Creator())
    with lowering() as ctx, pytest.raises(BuildError, match="layer: plugin ForwardNothing of"):
        ctx.plugin_v3("tests", "ForwardNothing", {"epsilon": np.ones(1, np.float32)}, [])


def test_engines_need_the_packs_of_their_plugins(
    monkeypatch: pytest.MonkeyPatch, provide: Provide
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(creators, "initialize", lambda _trt: True)
    monkeypatch.setattr(creators, "creators", lambda _trt, namespace: asked.append(namespace))
    library: Any = SimpleNamespace()
    held = ["CustomGeluPluginDynamic 1", "tests::A 1", "tests::B 2"]
    creators.require(library, held[:1])
    assert asked == []
    with pytest.raises(
        EngineFileError, match="holds plugins of pack 'tests', which is not"
    ) as told:
        creators.require(library, held)
    assert "expected: tests::A 1, tests::B 2" in str(told.value)
    assert "FWD_DISABLE_PACKS" in str(told.value)
    creators.provide("tests", lambda _trt: [])
    creators.require(library, held)
    assert asked == ["tests"]
