"""Settings as the library has them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

trt = pytest.importorskip("tensorrt_rtx")

from fwd_core.backends.tensorrt import tactics
from fwd_core.backends.tensorrt.compiling import configure
from fwd_core.backends.tensorrt.library import Library, load
from fwd_core.backends.tensorrt.logger import Record, listen, logger
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.errors import BuildError


@pytest.fixture
def record() -> Iterator[Record]:
    with listen(trt) as found:
        yield found


def _config(record: Record, **options: Any) -> Any:
    library = load("tensorrt_rtx")
    builder = trt.Builder(logger(trt))
    builder.error_recorder = record.recorder
    given = TensorRTOptions(**options)
    return configure(library, builder, given, "float32", {}, [], None, record)


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_off_unless_asked_for(record: Record, tf32: bool) -> None:
    assert _config(record, tf32=tf32).get_flag(trt.BuilderFlag.TF32) is tf32


def test_settings_reach_the_library(record: Record) -> None:
    config = _config(
        record,
        workspace=1 << 28,
        optimization_level=4,
        avg_timing_iterations=3,
        tactic_sources="jit_convolutions",
        layers=True,
    )
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 1 << 28
    assert config.builder_optimization_level == 4
    assert config.avg_timing_iterations == 3
    assert config.get_tactic_sources() == 1 << int(trt.TacticSource.JIT_CONVOLUTIONS)
    assert config.profiling_verbosity == trt.ProfilingVerbosity.DETAILED


def test_what_is_not_asked_for_is_left(record: Record) -> None:
    config, plain = _config(record), trt.Builder(logger(trt)).create_builder_config()
    assert config.get_tactic_sources() == plain.get_tactic_sources()
    assert config.builder_optimization_level == plain.builder_optimization_level
    pool = trt.MemoryPoolType.WORKSPACE
    assert config.get_memory_pool_limit(pool) == plain.get_memory_pool_limit(pool)


def test_a_setting_that_the_library_refuses_is_told_in_its_words(record: Record) -> None:
    # TensorRT-RTX has the name; the option's own check does not let it come so far.
    with pytest.raises(
        BuildError, match=r"refuses the settings\n +got: +hardware(.|\n)*nsupported"
    ):
        _config(record, hardware_compatible=True)


def test_sources_that_the_library_refuses_are_told_in_its_words(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tactics, "mask", lambda *_given: 0xFFFFFFFF)
    message = r"refuses the settings\n  got:      tactic_sources\n  (.|\n)*setTacticSources"
    with pytest.raises(BuildError, match=message):
        _config(record)


class Deaf:
    """A configuration that keeps its old value where some setters are called, and says nothing."""

    def __init__(self, config: Any, *setters: str) -> None:
        self._config, self._setters = config, setters

    def __getattr__(self, name: str) -> Any:
        return (lambda *_given: None) if name in self._setters else getattr(self._config, name)


class Features:
    """The library, with the preview feature of TensorRT 8 and 10."""

    PreviewFeature = SimpleNamespace(
        PROFILE_SHARING_0806=trt.PreviewFeature.ALIASED_PLUGIN_IO_10_03
    )

    def __getattr__(self, name: str) -> Any:
        return getattr(trt, name)


@pytest.mark.parametrize(
    ("setter", "told"),
    [
        ("set_memory_pool_limit", "workspace"),
        ("set_preview_feature", "ALIASED_PLUGIN_IO_10_03"),
        ("set_flag", "VERSION_COMPATIBLE"),
    ],
)
def test_settings_that_are_not_kept_are_told(record: Record, setter: str, told: str) -> None:
    found = load("tensorrt_rtx")
    library: Any = Library(
        Features(),  # type: ignore[arg-type]
        replace(found.features, profile_sharing=True),
        found.version,
    )
    options = TensorRTOptions(workspace=1 << 28, version_compatible=True)

    def settings(*deaf: str) -> Any:
        config = trt.Builder(logger(trt)).create_builder_config()
        builder = SimpleNamespace(create_builder_config=lambda: Deaf(config, *deaf))
        return configure(library, builder, options, "float32", {}, [], None, record)

    assert settings().get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    with pytest.raises(BuildError, match=f"refuses the settings\n  got:      {told}$"):
        settings(setter)
