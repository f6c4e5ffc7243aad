"""Options of builds on a GPU, which CI cannot run. `pytest -m gpu tests/gpu/test_options.py`."""

from __future__ import annotations

import ctypes
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import residual_block, transformer_block

from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend, memory
from fwd_core.backends.tensorrt.compiling import configure
from fwd_core.backends.tensorrt.features import HIDES_SOURCES
from fwd_core.backends.tensorrt.layers import CompiledLayer, half_share
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.errors import ForwardWarning, InputError
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_core.plugins import Plugins

AVAILABLE = TensorRTBackend().availability()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not AVAILABLE.run or "tensorrt" not in AVAILABLE.versions,
        reason=AVAILABLE.reason or "only the full library measures kernels",
    ),
]
PLUGINS = Plugins({"core": core_pack})
WEIGHT = np.random.default_rng(5).standard_normal((8, 16), np.float32)


@pytest.fixture(autouse=True)
def no_cache_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _compile(graph: Graph, mode: str = "float32", **options: Any) -> Engine:
    options = {"flavour": "tensorrt", **options}
    builder = Builder(backend="tensorrt", mode=mode, plugins=PLUGINS, options=options)
    return builder.compile(graph)


def _linear(low: int = 1, high: int = 32) -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (symbol("batch", low, low, high), 16)))
    y = graph.add(ops.Linear(x, graph.constant(WEIGHT)), name="block.fc")
    graph.set_outputs([graph.add(ops.Relu(y), name="block.relu")], ["y"])
    return graph.verify()


def _assert_right(engine: Engine, batch: int) -> None:
    x = np.random.default_rng(batch).standard_normal((batch, 16), np.float32)
    wanted = np.maximum(x @ WEIGHT.T, 0)
    np.testing.assert_allclose(engine.run({"x": x})["y"], wanted, atol=1e-5, rtol=1e-5)


def _seconds(graph: Graph, **options: Any) -> float:
    start = time.perf_counter()
    _compile(graph, "float16", **options).close()
    return time.perf_counter() - start


def test_a_second_build_takes_what_the_first_measured() -> None:
    _compile(_linear(), timing_cache="off").close()  # TensorRT and CUDA start
    first, second = _seconds(residual_block(8)), _seconds(residual_block(8))
    print(f"first {first:.2f} s, second {second:.2f} s, {second / first:.3f}")
    assert second <= 0.3 * first


def test_a_cache_keeps_what_other_models_measured(tmp_path: Path) -> None:
    path = tmp_path / "mine.timing"
    sizes = []
    for graph in (_linear(), residual_block(4), _linear()):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ForwardWarning)
            _compile(graph, timing_cache=str(path)).close()
        sizes.append(path.stat().st_size)
    assert sizes[0] < sizes[1] <= sizes[2]


def test_a_damaged_cache_is_told_and_the_build_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "mine.timing"
    path.write_bytes(b"nothing of ours")
    with pytest.warns(ForwardWarning, match=r"is not used and will be written anew"):
        engine = _compile(_linear(), timing_cache=str(path))
    with engine:
        _assert_right(engine, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ForwardWarning)
        _compile(_linear(), timing_cache=str(path)).close()


def test_no_cache_is_written_if_there_is_to_be_none(tmp_path: Path) -> None:
    _compile(_linear(), timing_cache="off").close()
    assert not (tmp_path / "cache").exists()


def test_workspace_fits_what_is_free() -> None:
    free, total = cuda.call("cudaMemGetInfo")
    assert 0 < memory.fitting() < total
    assert memory.fitting() <= free


def test_sizes_run_in_the_profile_that_holds_them() -> None:
    profiles = [{"batch": (1, 1, 4)}, {"batch": "5,16,32"}]
    with _compile(_linear(), profiles=profiles) as engine:
        assert engine.manifest["profiles"] == [{"batch": [1, 1, 4]}, {"batch": [5, 16, 32]}]
        for batch in (1, 5, 4, 32, 2, 16):
            _assert_right(engine, batch)


def test_a_size_in_no_profile_is_refused() -> None:
    with pytest.warns(ForwardWarning, match="no profile holds batch 5 … 15, and such runs will"):
        built = _compile(_linear(), profiles='[{"batch": "1,1,4"}, {"batch": "16,16,32"}]')
    with built as engine:
        _assert_right(engine, 16)
        with pytest.raises(InputError, match="no profile of the engine holds these sizes"):
            engine.run({"x": np.zeros((8, 16), np.float32)})
        _assert_right(engine, 4)


def test_a_version_compatible_plan_runs() -> None:
    major = load("tensorrt").version.split(".")[0]
    try:
        ctypes.CDLL(f"libnvinfer_lean.so.{major}")
    except OSError as error:
        pytest.skip(f"TensorRT builds such plans with its lean runtime: {error}")
    with _compile(_linear(), version_compatible=True) as engine:
        assert engine.manifest["version_compatible"] is True
        _assert_right(engine, 3)


def test_a_hardware_compatible_plan_runs() -> None:
    with _compile(_linear(), hardware_compatible=True) as engine:
        assert engine.manifest["hardware_compatible"] is True
        _assert_right(engine, 3)


@pytest.mark.parametrize("sources", ["cublas,cublas_lt", "jit_convolutions", ""])
def test_tactic_sources(sources: str) -> None:
    with _compile(_linear(), tactic_sources=sources) as engine:
        _assert_right(engine, 3)


@pytest.mark.parametrize(("sources", "hidden"), [(None, True), ("cublas_lt", False)])
def test_libraries_beside_it_are_looked_at_where_they_are_named(
    sources: str | None, hidden: bool
) -> None:
    library = load("tensorrt")
    if not library.features.sources_hidden:
        pytest.skip("later versions do as they are told")
    options = TensorRTOptions(tactic_sources=sources)
    with listen(library.trt) as record:
        builder = library.trt.Builder(logger(library.trt))
        config = configure(library, builder, options, "float32", {}, [], None, record)
    hides = getattr(library.trt.PreviewFeature, HIDES_SOURCES)
    assert config.get_preview_feature(hides) is hidden


@pytest.mark.parametrize("batch", [4, symbol("batch", 1, 4, 8)], ids=["static", "dynamic"])
def test_convolutions_are_half(batch: Any) -> None:
    with _compile(residual_block(batch), "float16", layers=True) as engine:
        layers = [CompiledLayer.from_json(one) for one in engine.manifest["layers"]]
    found = half_share(layers)
    print(found, sorted({(one.kind, one.dtype) for one in layers}))
    assert found.products >= 7
    assert found.share >= 0.95
    named = {node for one in layers for node in one.nodes}
    assert {"stem", "block1.conv2", "fc"} <= named


def test_what_a_transformer_tells_of_its_products() -> None:
    with _compile(transformer_block(2, fused=False), "float16", layers=True) as engine:
        layers = [CompiledLayer.from_json(one) for one in engine.manifest["layers"]]
    found = half_share(layers)
    print(found, [(one.kind, one.name[:60], one.dtype) for one in layers])
    assert found.opaque or found.products
    assert found.products == 0 or found.share >= 0.95


@pytest.mark.parametrize("layers", [True, False])
def test_times_of_layers(layers: bool) -> None:
    graph = residual_block(symbol("batch", 1, 4, 8))
    options = {"layers": layers, "profiles": [{"batch": (1, 1, 2)}, {"batch": (2, 4, 8)}]}
    with _compile(graph, "float16", **options) as engine:
        executable = TensorRTBackend().load(engine.plan, (engine.inputs, engine.outputs))
        for batch in (1, 8):
            image = np.zeros((batch, 3, 56, 56), np.float32)
            times = executable.layer_times([image], 10)
            print([(one.name[:40], one.nodes, one.milliseconds) for one in times])
            assert all(one.milliseconds >= 0 for one in times)
            assert 0 < sum(one.milliseconds for one in times) < 100
            assert "block1.conv2" in {node for one in times for node in one.nodes}
        executable.close()
