"""Engines on a GPU: what CI cannot run. `pytest -m gpu tests/gpu` on a machine with one.

What is said of memory is of the whole GPU, which must be otherwise idle.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import padded_attention
import pytest
from gpu_memory import Raw, Slow, assert_returned
from numpy.typing import NDArray

from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.backends.tensorrt.logger import listen
from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.backends.tensorrt.runtime.executable import TensorRTExecutable
from fwd_core.engine import DeviceArray
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_core.plugins import Plugins

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not TensorRTBackend().availability().run, reason=TensorRTBackend().availability().reason
    ),
]
PLUGINS = Plugins({"core": core_pack})
OUTPUTS = ("y", "count", "flipped")
WEIGHT = np.random.default_rng(5).standard_normal((8, 16), np.float32)


def _engine(mode: str, contexts: int | None = None) -> Engine:
    """``relu(x W^T)``, its count of positive elements per row, and the flags turned over."""
    graph = Graph()
    batch = symbol("batch", 1, 4, 32)
    x = graph.add_input("x", TensorType(DType.FLOAT32, (batch, 16)))
    flags = graph.add_input("flags", TensorType(DType.BOOL, (batch,)))
    y = graph.add(ops.Relu(graph.add(ops.Linear(x, graph.constant(WEIGHT)))))
    zero = graph.constant(np.array(0, np.float32))
    positive = graph.add(ops.Cast(graph.add(ops.Greater(y, zero)), DType.INT64))
    count = graph.add(ops.ReduceSum(positive, (1,)))
    graph.set_outputs([y, count, graph.add(ops.Not(flags))], ["y", "count", "flipped"])
    builder = Builder(backend="tensorrt", mode=mode, plugins=PLUGINS, contexts=contexts)
    return builder.compile(graph.verify())


def _feeds(batch: int, seed: int) -> dict[str, NDArray[np.generic]]:
    numbers = np.random.default_rng(seed)
    x = numbers.standard_normal((batch, 16), np.float32)
    return {"x": x, "flags": numbers.random(batch) > 0.5}


@pytest.mark.parametrize(("mode", "tolerance"), [("float32", 1e-5), ("float16", 2e-2)])
def test_numbers_types_and_shapes(mode: str, tolerance: float) -> None:
    with _engine(mode) as engine:
        for batch in (1, 4, 32):
            feeds = _feeds(batch, batch)
            found = engine.run(feeds)
            wanted = np.maximum(feeds["x"] @ WEIGHT.T, 0)
            np.testing.assert_allclose(found["y"], wanted, atol=tolerance, rtol=tolerance)
            np.testing.assert_array_equal(found["count"], (found["y"] > 0).sum(1))
            np.testing.assert_array_equal(found["flipped"], np.logical_not(feeds["flags"]))
            assert found["count"].dtype == np.int64


@pytest.mark.parametrize(("mode", "tolerance"), [("float32", 1e-4), ("float16", 2e-2)])
@pytest.mark.parametrize("dtype", [DType.BOOL, DType.FLOAT32])
@pytest.mark.parametrize("way", ["zeros", "any"])
def test_a_sequence_without_keys(mode: str, tolerance: float, dtype: DType, way: str) -> None:
    batch = symbol("batch", 1, 3, 8)
    graph = padded_attention.attention_and_projection(batch, padded_attention.projected, dtype)
    options = {"empty_sequences": way}
    builder = Builder(backend="tensorrt", mode=mode, plugins=PLUGINS, options=options)
    with builder.compile(graph) as engine:
        padded_attention.assert_right(engine, dtype, tolerance, exact_padding=way == "zeros")


def _executable(engine: Engine) -> TensorRTExecutable:
    assert isinstance(engine.executable, TensorRTExecutable)
    return engine.executable


def _on_gpu(engine: Engine, feeds: Mapping[str, Any], speaks: str) -> dict[str, Raw]:
    """The same on the GPU, in the types that the engine has there."""
    bound = dict(zip(("x", "flags"), engine.executable.bound[0], strict=True))
    return {name: Raw(array.astype(bound[name].storage), speaks) for name, array in feeds.items()}


def _assert_same(found: Mapping[str, Any], wanted: Mapping[str, NDArray[Any]]) -> None:
    for name in OUTPUTS:
        array = found[name].numpy() if isinstance(found[name], DeviceArray) else found[name]
        np.testing.assert_array_equal(array.astype(wanted[name].dtype), wanted[name], name)


def _stream() -> int:
    """One that does not wait for the default stream."""
    return int(cuda.call("cudaStreamCreateWithFlags", cuda.runtime().cudaStreamNonBlocking))


@pytest.mark.parametrize("speaks", ["interface", "dlpack"])
def test_arrays_of_the_gpu_are_read_in_the_order_of_the_callers_stream(speaks: str) -> None:
    stream, slow = _stream(), Slow()
    with _engine("float16") as engine:
        feeds = _feeds(8, 1)
        wanted = engine.run(feeds)
        nothing = {name: np.zeros_like(array) for name, array in feeds.items()}
        given, empty, late = (_on_gpu(engine, one, speaks) for one in (nothing, nothing, feeds))
        for _ in range(8):  # queued, recorded, replayed
            for source in (empty, late):
                for name, target in given.items():
                    size = target.array.nbytes
                    cuda.within(target.address, source[name].address, size, stream)
                slow.queue(stream, 20)
            for name, target in given.items():
                cuda.within(target.address, late[name].address, target.array.nbytes, stream)
            found = engine.run(given, stream=stream)
            assert all(one.stream == stream for one in found.values())
            _assert_same(found, wanted)


def test_without_a_stream_a_run_is_over_when_it_returns() -> None:
    with _engine("float16") as engine:
        for batch in (1, 32, 7):
            feeds = _feeds(batch, batch)
            wanted = engine.run(feeds)
            for speaks in ("interface", "dlpack"):
                found = engine.run(_on_gpu(engine, feeds, speaks))
                assert all(one.stream is None for one in found.values())
                _assert_same(found, wanted)
            pending = engine.run_async(_on_gpu(engine, feeds, "dlpack"))
            _assert_same(pending.result(), wanted)


@pytest.mark.parametrize("host", [True, False], ids=["host", "gpu"])
def test_runs_that_repeat_are_replayed(host: bool) -> None:
    with _engine("float16", contexts=1) as engine:
        feeds = _feeds(8, 1)
        wanted = engine.run(feeds)
        given = feeds if host else _on_gpu(engine, feeds, "interface")
        for _ in range(6):
            _assert_same(engine.run(given), wanted)
        (context,) = _executable(engine)._contexts
        # The first run on the host is the one that was wanted. On the GPU, where outputs are new
        # memory, the first of the six warms up and the second is recorded; they are dropped
        # before the next run, and come back to their places, also two that are of one size.
        assert sum(graphs.replays for graphs in context.graphs) >= (5 if host else 4)


@pytest.mark.parametrize("kind", ["host", "gpu", "streams"])
def test_threads_do_not_disturb_one_another(kind: str) -> None:
    with _engine("float16", contexts=4) as engine:
        cases = [_feeds(1 + seed % 32, seed) for seed in range(200)]
        serial = [engine.run(feeds) for feeds in cases]

        def many(thread: int) -> None:
            stream = _stream() if kind == "streams" else None
            for index in np.random.default_rng(thread).permutation(200):
                feeds: Mapping[str, Any] = cases[index]
                if kind != "host":
                    feeds = _on_gpu(engine, feeds, "dlpack" if index % 2 else "interface")
                _assert_same(engine.run(feeds, stream=stream), serial[index])

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(many, range(16)))
        assert 1 < engine.contexts.peak <= 4


def test_loads_and_runs_do_not_wait_for_a_build(tmp_path: Path) -> None:
    path = tmp_path / "small.engine"
    with _engine("float16") as engine:
        engine.save(path)
        engine.run(_feeds(2, 0))
        wanted = _feeds(5, 1)
        held, over = threading.Event(), threading.Event()

        def build() -> None:
            with listen(_executable(engine).library.trt):
                held.set()
                assert over.wait(120)

        def run() -> None:
            for _ in range(3):  # the second makes an execution context
                found = engine.run(wanted)
                np.testing.assert_array_equal(found["flipped"], np.logical_not(wanted["flags"]))
            with Engine.load(path, plugins=PLUGINS) as loaded:
                _assert_same(loaded.run(wanted), found)

        with ThreadPoolExecutor(2) as pool:
            building = pool.submit(build)
            assert held.wait(30)
            try:
                pool.submit(run).result(timeout=60)
            finally:
                over.set()
            building.result()


def test_loads_give_all_memory_back(tmp_path: Path) -> None:
    path = tmp_path / "small.engine"
    with _engine("float16") as engine:
        engine.save(path)
        feeds = _feeds(32, 1)
        given = _on_gpu(engine, feeds, "interface")

    def once() -> None:
        with Engine.load(path, plugins=PLUGINS) as loaded:
            for _ in range(4):
                loaded.run(feeds)
                loaded.run(given)

    once()
    assert_returned(once, times=200, device=4 << 20, host=64 << 20)


def test_ten_thousand_runs_take_no_more_memory() -> None:
    with _engine("float16") as engine:
        cases = [_feeds(batch, batch) for batch in (1, 8, 32)]
        given = [_on_gpu(engine, feeds, "interface") for feeds in cases]
        stream = _stream()

        def run(times: int) -> None:
            for turn in range(times):
                engine.run(cases[turn % 3])
                engine.run(given[turn % 3], stream=stream)

        run(100)
        assert_returned(lambda: run(10_000), device=4 << 20, host=32 << 20)
