"""Builds, from a graph to the bytes of a plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from blocks import residual_block, transformer_block
from host_cuda import host_cuda
from tensorrt_networks import PLUGINS, build

from fwd_core import Builder, Engine
from fwd_core.backends import BuildConfig, Port
from fwd_core.backends.tensorrt import TensorRTBackend, inspector, lean
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import listen
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.backends.tensorrt.runtime import device
from fwd_core.errors import BuildError, EngineFileError, OptionError
from fwd_core.events import Event, Events
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_core.rewrite.precision import PrecisionWarning

BATCH = symbol("batch", 1, 2, 4)
without_gpu = pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")


def _relu(dtype: DType = DType.FLOAT32) -> Graph:
    graph = Graph("small")
    x = graph.add_input("x", TensorType(dtype, (2, 3)))
    graph.set_outputs([graph.add(ops.Relu(x), name="relu")], ["y"])
    return graph


@pytest.mark.parametrize("batch", [2, BATCH], ids=["static", "dynamic"])
@pytest.mark.parametrize("mode", ["float32", "float16"])
@pytest.mark.parametrize(
    "make",
    [
        residual_block,
        lambda batch: transformer_block(batch, fused=False),
        lambda batch: transformer_block(batch, fused=True),
    ],
    ids=["residual", "composed", "fused"],
)
def test_blocks_build_for_a_gpu_that_is_not_here(make: Any, mode: Any, batch: Any) -> None:
    plan = build(make(batch), mode, gpu="sm_89")
    assert plan.manifest["gpus"] == ["sm_89"]
    assert plan.manifest["compute"] == plan.manifest["mode"] == mode
    assert len(plan.payload()) > 100_000


def test_a_plan_says_what_it_is() -> None:
    import tensorrt_rtx

    manifest = dict(build(_relu()).manifest)
    assert manifest == {
        "flavour": "tensorrt_rtx",
        "version": tensorrt_rtx.__version__,
        "gpus": ["sm_80", "sm_86", "sm_89", "sm_120", "sm_121"],
        "compute": "float32",
        "mode": "float32",
        "cuda_graph": "auto",
        "bindings": {"inputs": ["x"], "outputs": ["y"]},
        "profiles": [],
        "plugins": [],
    }
    assert build(_relu(), tf32=True).manifest["compute"] == "float32 (tf32 products)"


def test_plans_are_the_same_each_time() -> None:
    assert bytes(build(_relu()).payload()) == bytes(build(_relu()).payload())


def test_several_gpus_and_all_settings_are_taken() -> None:
    plan = build(
        _relu(),
        gpu=("sm_89", "sm_120"),
        workspace=1 << 30,
        optimization_level=1,
        layers=True,
        tactic_sources="jit_convolutions",
    )
    assert plan.manifest["gpus"] == ["sm_89", "sm_120"]
    [layer] = plan.manifest["layers"]
    assert layer["nodes"] == ("relu",)


@pytest.mark.parametrize("level", range(6))
def test_every_optimization_level_builds(level: int) -> None:
    assert len(build(residual_block(2), optimization_level=level).payload()) > 100_000


@pytest.mark.parametrize(
    "options",
    [
        {"timing_cache": "off"},
        {"version_compatible": True},
        {"hardware_compatible": True},
        {"tactic_sources": "cudnn"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_rtx_lacks_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=rf"option '{next(iter(options))}'(.|\n)*tensorrt_rtx"):
        build(_relu(), **options)


def test_sm_90_is_refused_by_rtx() -> None:
    with pytest.raises(OptionError, match=r"tensorrt_rtx cannot build for sm_90"):
        build(_relu(), gpu="sm_90")


def test_too_little_workspace_is_told_in_tensorrts_words() -> None:
    graph = residual_block(8)
    with pytest.raises(BuildError, match=r"could not compile the network\n  (.|\n)*workspace"):
        build(graph, workspace=1)


def test_float64_computes_in_float32_with_one_warning() -> None:
    with pytest.warns(PrecisionWarning) as warned:
        plan = build(_relu(DType.FLOAT64))
    assert len(warned) == 1
    assert len(plan.payload()) > 0


@without_gpu
def test_without_a_gpu_rtx_builds_and_does_not_run() -> None:
    state = TensorRTBackend().availability()
    assert state.build
    assert not state.run
    assert "tensorrt_rtx" in state.versions
    assert "no GPU" in state.reason
    assert "tensorrt cannot" not in state.reason, "the other flavour is enough"
    assert "sm_89" in state.targets


@without_gpu
def test_without_a_gpu_a_plan_is_not_loaded() -> None:
    plan = build(_relu())
    ports = [Port("x", TensorType(DType.FLOAT32, (2, 3)))]
    message = r"a TensorRT engine runs on a GPU(.|\n)*no GPU can be used(.|\n)*Hint: save it"
    with pytest.raises(BuildError, match=message):
        TensorRTBackend().load(plan, (ports, ports))


@without_gpu
def test_without_a_gpu_the_inspector_is_not_asked() -> None:
    library, plan = load("tensorrt_rtx"), build(_relu())
    message = r"tensorrt_rtx cannot load its own plan to tell the compiled layers"
    with listen(library.trt) as record, pytest.raises(BuildError, match=message):
        inspector.of_plan(library, plan.payload(), record)


@without_gpu
def test_without_a_gpu_an_engines_file_says_why_it_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "relu.engine"
    builder = Builder(backend="tensorrt", options={"gpu": "sm_89"}, plugins=PLUGINS)
    with builder.compile(_relu()) as engine:
        engine.save(path)
    with pytest.raises(
        EngineFileError,
        match="the engine cannot run here, because a TensorRT engine runs on a GPU\n"
        f"  at {path}\n  .*no GPU can be used.*\n  Hint: load it on a machine like the one",
    ):
        Engine.load(path, plugins=PLUGINS)


@without_gpu
def test_the_full_library_does_not_build_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All that is asked of it before the GPU is: its version, and names that it does not have.
    (tmp_path / "tensorrt.py").write_text('__version__ = "10.13"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # so that what is there now comes back
    del sys.modules["tensorrt"]
    message = r"no flavour of TensorRT can build here\n  tensorrt 10.13 builds on a GPU: no GPU"
    with pytest.raises(BuildError, match=message):
        build(_relu(), flavour="tensorrt")
    assert build(_relu(), flavour="auto").manifest["flavour"] == "tensorrt_rtx"
    with pytest.raises(OptionError, match=r"tensorrt_rtx cannot build for sm_90"):
        build(_relu(), flavour="auto", gpu="sm_90")


@pytest.mark.skipif(lean.missing("10.13") is None, reason="the lean runtime is here")
def test_libraries_that_are_missing_are_told_before_the_model_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beside TensorRT-RTX, which refuses the option too and can say nothing of the library.
    (tmp_path / "tensorrt.py").write_text(
        '__version__ = "10.13"\nclass BuilderFlag:\n    VERSION_COMPATIBLE = 1\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    del sys.modules["tensorrt"]
    builder = Builder(backend="tensorrt", options={"version_compatible": True}, plugins=PLUGINS)
    with host_cuda(), pytest.raises(OptionError, match=r"libnvinfer_lean\.so\.10(.|\n)*Hint: pip"):
        builder.build("no such file", ())


def test_a_flavour_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    message = r"no flavour of TensorRT .* here\n  tensorrt is not installed\n  Hint: pip install "
    with pytest.raises(BuildError, match=message):
        build(_relu(), flavour="tensorrt")


def test_gpus_that_are_not_known_are_told_before_the_model_is_read() -> None:
    builder = Builder(backend="tensorrt", options={"gpu": "sm_90"}, plugins=PLUGINS)
    with pytest.raises(OptionError, match="cannot build for sm_90"):
        builder.build("no such file", ())


def test_progress_is_told_and_ends() -> None:
    told: list[Event] = []
    config = BuildConfig("float32", TensorRTOptions(), PLUGINS, Events(told.append))
    TensorRTBackend().build(residual_block(2), config)
    phases = [event.phase for event in told if event.state == "start"]
    assert phases == ["lower", "compile"]
    assert [event.state for event in told].count("end") == 2
    steps = [event for event in told if event.phase == "compile" and event.state == "step"]
    assert len(steps) > 3
    assert all(event.detail and event.total is None for event in steps)


class _Stop(Exception):  # noqa: N818 - it stands for an interrupt
    pass


def test_what_a_listener_raises_stops_the_build_and_is_raised() -> None:
    def listen(event: Event) -> None:
        if event.phase == "compile" and event.state == "step":
            raise _Stop

    config = BuildConfig("float32", TensorRTOptions(), PLUGINS, Events(listen))
    with pytest.raises(_Stop):
        TensorRTBackend().build(residual_block(2), config)


def test_builds_in_several_threads_do_not_mix() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(lambda _: bytes(build(_relu()).payload()), range(8)))
    assert len(set(plans)) == 1


def test_large_weights_are_not_lost() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (4, 512)))
    weight = graph.constant(np.random.default_rng(0).standard_normal((512, 512), np.float32))
    graph.set_outputs([graph.add(ops.Linear(x, weight))], ["y"])
    assert len(build(graph).payload()) > weight.constant.nbytes  # type: ignore[union-attr]


def test_batch_normalization_is_in_the_weights_before_they_are_half() -> None:
    pytest.importorskip("tensorrt_rtx")
    numbers, graph = np.random.default_rng(0), Graph("folded")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (1, 3, 8, 8)))
    weight = graph.constant(numbers.standard_normal((4, 3, 3, 3)).astype(np.float32))
    y = graph.add(ops.Convolution(x, weight, None, (1, 1), (1, 1), (1, 1), (1, 1)))
    held = [graph.constant(numbers.random(4).astype(np.float32) + 1) for _ in range(4)]
    graph.set_outputs([graph.add(ops.BatchNorm(y, *held, 1e-5), name="norm")], ["y"])
    builder = Builder(
        backend="tensorrt",
        mode="float16",
        options={"flavour": "tensorrt_rtx", "gpu": "sm_89"},
        plugins=PLUGINS,
    )
    assert builder.unsupported(graph) == []  # which prepares the graph as a build does
    kinds = [type(node.op) for node in graph]
    assert ops.BatchNorm not in kinds
    (found,) = (node for node in graph if isinstance(node.op, ops.Convolution))
    assert found.name.startswith("norm")
    assert found.op.weight.type.dtype is DType.FLOAT16


def test_products_of_float32_for_turing_have_a_hint() -> None:
    pytest.importorskip("tensorrt_rtx")
    graph = Graph("product")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (4, 64)))
    weight = graph.constant(np.ones((64, 64), np.float32))
    graph.set_outputs([graph.add(ops.Linear(x, weight))], ["y"])
    options = {"flavour": "tensorrt_rtx", "gpu": "sm_75"}
    with pytest.raises(BuildError, match="FP32 GEMM is not supported") as told:
        Builder(backend="tensorrt", options=options, plugins=PLUGINS).compile(graph)
    assert "mode='float16' has products for sm_75; or leave sm_75 out" in str(told.value)
