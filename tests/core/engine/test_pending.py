"""Runs in the background, and streams, on engines of the host."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import toy_backend
from host_memory import HostMemory, Lender, Told, ToldTwice
from toy_backend import Layers, ToyExecutable

from fwd_core import Builder, Engine, OptBatch
from fwd_core.backends.base import Context, Executable, Pending
from fwd_core.engine import DeviceArray, dlpack
from fwd_core.errors import ForwardError, InputError
from fwd_core.ir import DType

RNG = np.random.default_rng(1)
WEIGHT = RNG.standard_normal((4, 3)).astype(np.float32)
X = RNG.standard_normal((8, 3)).astype(np.float32)
CLOSED = "^the engine is closed\n  Hint: build or load it again$"


def _build(**options: Any) -> Engine:
    builder = Builder(plugins=toy_backend.plugins(), options=options)
    return builder.build(Layers([("linear", WEIGHT), ("relu",)]), (X,), dynamic=OptBatch())


def _held(engine: Engine, parties: int) -> threading.Barrier:
    """Hold every run until so many meet."""
    assert isinstance(engine.executable, ToyExecutable)
    engine.executable.meeting = threading.Barrier(parties)
    return engine.executable.meeting


def test_the_result_is_that_of_run() -> None:
    engine = _build()
    pending = engine.run_async({"x": X})
    assert isinstance(pending, Pending)
    found = pending.result()
    assert list(found) == ["y"]
    np.testing.assert_array_equal(found["y"], engine.run({"x": X})["y"])
    assert pending.done()
    assert pending.result()["y"] is found["y"], "asked again, it is the same"


def test_it_returns_before_the_run_is_over() -> None:
    with _build() as engine:
        barrier = _held(engine, 2)
        pending = engine.run_async({"x": X})
        assert not pending.done()
        barrier.wait(timeout=30)
        pending.result()
        assert pending.done()


def test_many_at_once() -> None:
    with _build(parallel=3) as engine:
        inputs = [X[: 1 + i % 8] + np.float32(i) for i in range(100)]
        for x, pending in [(x, engine.run_async({"x": x})) for x in inputs]:
            np.testing.assert_array_equal(pending.result()["y"], np.maximum(x @ WEIGHT.T, 0))
        assert engine.contexts.peak <= 3


def test_as_many_run_at_once_as_there_are_contexts() -> None:
    with _build(parallel=3) as engine:
        _held(engine, 3)  # none goes on before three run
        for pending in [engine.run_async({"x": X}) for _ in range(6)]:
            pending.result()
        assert engine.contexts.peak == 3


def test_threads_may_begin_and_wait() -> None:
    with _build() as engine, ThreadPoolExecutor(8) as threads:
        wanted = engine.run({"x": X})["y"]
        for pending in threads.map(lambda _: engine.run_async({"x": X}), range(50)):
            np.testing.assert_array_equal(pending.result()["y"], wanted)


def test_names_are_checked_at_once_and_arrays_by_the_result() -> None:
    engine = _build()
    with pytest.raises(InputError, match="missing 'x'; unknown 'z'"):
        engine.run_async({"z": X})
    for _ in range(2):
        pending = engine.run_async({"x": X.astype(np.float64)})
        for _ in range(2):  # asked again, it fails again
            with pytest.raises(InputError, match=r"'x' has the wrong dtype\n.*\n.*float64\[8, 3\]"):
                pending.result()
        assert pending.done()
    with pytest.raises(InputError, match=r"axis 1 of float32\[batch, 3\] is wrong"):
        engine.run_async({"x": X[:, :2]}).result()
    assert engine.run_async({"x": X}).result()["y"].shape == (8, 4)


@pytest.mark.parametrize("used", [False, True])
def test_a_closed_engine_refuses(used: bool) -> None:
    engine = _build()
    if used:
        engine.run_async({"x": X}).result()
    engine.close()
    with pytest.raises(ForwardError, match=CLOSED):
        engine.run_async({"x": X})


def test_closing_waits_for_runs_in_the_background() -> None:
    engine = _build()
    barrier = _held(engine, 2)
    pending = engine.run_async({"x": X})
    closing = threading.Thread(target=engine.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    barrier.wait(timeout=30)
    closing.join(30)
    assert not closing.is_alive()
    assert pending.result()["y"].shape == (8, 4)


@pytest.mark.parametrize("stream", [0, 1234, object(), "fast"], ids=lambda one: type(one).__name__)
def test_an_engine_of_the_host_has_no_streams(stream: Any) -> None:
    engine = _build()
    message = (
        r"^an engine of backend 'toy' runs on the host\n  expected: no stream\n"
        rf"  got:      {type(stream).__name__}\n  Hint: leave stream out$"
    )
    for use in (
        lambda: engine.run({"x": X}, stream=stream),
        lambda: engine.run_list([X], stream=stream),
        lambda: engine.run_async({"x": X}, stream=stream),
    ):
        with pytest.raises(InputError, match=message):
            use()


class Cupy(Lender):
    """Refuses the host as arrays of a GPU do."""

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError("CUDA arrays are not exported to the host")


def test_an_engine_of_the_host_refuses_arrays_of_a_gpu() -> None:
    engine = _build()
    assert engine.executable.device is None
    with pytest.raises(
        InputError,
        match=r"^input 'x' is no array\n.*\n  got:      Told\n  Hint: pass a NumPy",
    ):
        engine.run({"x": Told(X)})
    cannot = (
        r"^input 'x': this {} cannot be read on the host\n  expected: float32\[batch, 3\]\n  .*\n"
        r"  Hint: move it to the CPU \(and detach it\), or use a backend of its device$"
    )
    output = DeviceArray(HostMemory(X), (8, 3), DType.FLOAT32)  # of an engine of a GPU
    for item in (Cupy(X, device=(dlpack.CUDA, 0)), ToldTwice(X), output):
        for use in (
            lambda given: engine.run({"x": given}),
            lambda given: engine.run_list([given]),
            lambda given: engine.run_async({"x": given}).result(),
        ):
            with pytest.raises(InputError, match=cannot.format(type(item).__name__)):
                use(item)


def test_contexts_of_the_host_have_no_streams() -> None:
    engine = _build()
    context = engine.contexts.acquire()
    engine.contexts.release(context)
    assert context.idle(None)
    assert engine.executable.bound == ((), ())
    for use in (
        lambda: context.accept([X], None),
        lambda: context.run_on([X], [(8, 4)], None),
        lambda: context.submit([X], [(8, 4)], None),
    ):
        with pytest.raises(NotImplementedError):
            use()
    assert isinstance(context, Context)
    assert isinstance(engine.executable, Executable)


def test_the_executable_of_a_closed_engine_that_was_never_loaded() -> None:
    built = _build()
    engine = Engine(
        built._backend, built.plan, built.inputs, built.outputs, built.manifest, load=False
    )
    engine.close()
    with pytest.raises(ForwardError, match=CLOSED):
        _ = engine.executable
    with pytest.raises(ForwardError, match=CLOSED):
        engine.run_async({"x": X})
