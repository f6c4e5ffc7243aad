"""Runs on a GPU: arrays, streams, threads, graphs and memory. TensorRT is not needed.

What is said of memory is of the whole GPU, which must be otherwise idle.
"""

from __future__ import annotations

import gc
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gpu_loopback import loopback
from gpu_memory import Raw, Slow, assert_returned
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_core.backends.tensorrt.runtime.graphs import CAPACITY
from fwd_core.engine import DeviceArray, Engine
from fwd_core.errors import DeviceError, ForwardError, GraphWarning, InputError
from fwd_core.ir import DType

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(device.find()[0] is None, reason=device.find()[1] or "no GPU"),
]


def _rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 64), np.float32)


def _graphs(engine: Engine) -> list[Any]:
    return [g for context in engine.executable._contexts for g in context.graphs]  # type: ignore[attr-defined]


@pytest.mark.parametrize("speaks", ["interface", "dlpack"])
def test_arrays_of_the_gpu_stay_there(speaks: str) -> None:
    with loopback() as engine:
        for count in (1, 7, 4096, 0):
            x = _rows(count, count)
            given = Raw(x, speaks)
            found = engine.run({"x0": given})["y0"]
            assert isinstance(found, DeviceArray)
            assert (found.shape, found.dtype, found.device) == ((count, 64), DType.FLOAT32, 0)
            assert found.stream is None
            np.testing.assert_array_equal(found.numpy(), x)
            again = engine.run({"x0": found})["y0"]
            np.testing.assert_array_equal(again.numpy(), x)


def test_a_producer_without_a_stream_is_asked_to_wait_for_the_engines_own() -> None:
    with loopback(contexts=1) as engine:
        given = Raw(_rows(2), "dlpack")
        engine.run({"x0": given})
        (own,) = engine.executable.blocks.own  # type: ignore[attr-defined]
        engine.run({"x0": given}, stream=0)
        assert given.asked == [own, 1]


def test_host_arrays_beside_arrays_of_the_gpu() -> None:
    with loopback(DType.FLOAT32, DType.FLOAT32) as engine:
        one, other = _rows(3, 1), _rows(3, 2)
        found = engine.run({"x0": Raw(one), "x1": other})
        np.testing.assert_array_equal(found["y0"].numpy(), one)
        np.testing.assert_array_equal(found["y1"].numpy(), other)
        host = engine.run({"x0": one, "x1": other})
        np.testing.assert_array_equal(host["y1"], other)
        assert isinstance(host["y1"], np.ndarray)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with loopback() as engine:
        with pytest.raises(InputError, match=r"'x0' has the wrong dtype(.|\n)*float32\[2, 64\]"):
            engine.run({"x0": Raw(_rows(2).astype(np.float64))})
        strided = Raw(_rows(2), strides=(4, 8))
        with pytest.raises(InputError, match="'x0' is not C-contiguous"):
            engine.run({"x0": strided})
        with pytest.raises(InputError, match="this is no CUDA stream"):
            engine.run({"x0": Raw(_rows(2))}, stream="fast")
        with pytest.raises(InputError, match="wrong rank"):
            engine.run({"x0": Raw(np.zeros(3, np.float32))})
    with loopback(DType.INT64, bound=DType.INT32) as engine:
        wide = np.arange(128).reshape(2, 64)
        words = "int32.*on the GPU, where this engine has no int64"
        with pytest.raises(InputError, match=words):
            engine.run({"x0": Raw(wide)})
        narrow = engine.run({"x0": Raw(wide.astype(np.int32))})["y0"]
        assert narrow.dtype is DType.INT32
        np.testing.assert_array_equal(narrow.numpy(), wide)
        host = engine.run({"x0": wide})["y0"]
        assert host.dtype == np.int64
        np.testing.assert_array_equal(host, wide)


def test_an_array_that_begins_anywhere() -> None:
    with loopback() as engine:
        x = _rows(5)
        for _ in range(6):
            found = engine.run({"x0": Raw(x, offset=12)})["y0"]
            np.testing.assert_array_equal(found.numpy(), x)


@pytest.mark.parametrize("where", ["default", "own"])
def test_the_callers_stream_is_respected(where: str) -> None:
    stream = 0 if where == "default" else int(cuda.call("cudaStreamCreateWithFlags", 1))
    slow, x = Slow(), _rows(4096)
    with loopback() as engine:
        for turn in range(12):  # eager, recorded, replayed
            given = Raw(np.zeros_like(x))
            late = Raw(x + turn)
            cuda.call("cudaDeviceSynchronize")
            slow.queue(stream)
            cuda.within(given.address, late.address, x.nbytes, stream)
            found = engine.run({"x0": given}, stream=stream)["y0"]
            assert found.stream == stream
            np.testing.assert_array_equal(found.numpy(), x + turn)


def test_outputs_are_not_written_over_while_they_are_read() -> None:
    stream = int(cuda.call("cudaStreamCreateWithFlags", 1))
    slow, kept = Slow(), []
    inputs = [Raw(_rows(64, seed)) for seed in range(20)]
    with loopback() as engine:
        for given in inputs:
            found = engine.run({"x0": given}, stream=stream)["y0"]
            copy = Raw(np.zeros((64, 64), np.float32))
            slow.queue(stream, 5)
            cuda.within(copy.address, found.address, found.nbytes, stream)
            kept.append(copy)
            del found
        cuda.call("cudaStreamSynchronize", stream)
        for given, copy in zip(inputs, kept, strict=True):
            there = np.empty_like(given.array)
            cuda.to_host(there.ctypes.data, copy.address, there.nbytes, 0)
            cuda.call("cudaDeviceSynchronize")
            np.testing.assert_array_equal(there, given.array)


def test_runs_in_the_background() -> None:
    with loopback(contexts=3) as engine:
        arrays = [_rows(4096, seed) for seed in range(12)]
        host = [engine.run_async({"x0": x}) for x in arrays]
        given = [Raw(x) for x in arrays]
        gpu = [engine.run_async({"x0": x}) for x in given]
        engine.run_async({"x0": arrays[0]})  # nobody asks for this one
        for x, one, other in zip(arrays, host, gpu, strict=True):
            np.testing.assert_array_equal(one.result()["y0"], x)
            np.testing.assert_array_equal(other.result()["y0"].numpy(), x)
            assert one.done()
            assert other.done()
            assert one.result()["y0"] is one.result()["y0"]


def test_a_run_in_the_background_returns_before_it_is_over() -> None:
    stream, slow = int(cuda.call("cudaStreamCreateWithFlags", 1)), Slow()
    with loopback() as engine:
        given = Raw(_rows(3))
        for _ in range(3):  # recording waits, replaying does not
            engine.run({"x0": given}, stream=stream)
        cuda.call("cudaStreamSynchronize", stream)
        slow.queue(stream, 2000)
        pending = engine.run_async({"x0": given}, stream=stream)
        assert not pending.done()
        np.testing.assert_array_equal(pending.result()["y0"].numpy(), given.array)


@pytest.mark.parametrize("speaks", ["host", "interface", "dlpack"])
def test_sixteen_threads_wait_for_one_run(speaks: str) -> None:
    x = _rows(4096)
    with loopback() as engine, ThreadPoolExecutor(16) as threads:
        for _ in range(100):
            given = x if speaks == "host" else Raw(x, speaks)
            pending = engine.run_async({"x0": given})
            found = list(threads.map(lambda _, one=pending: one.result()["y0"], range(16)))
            assert all(one is found[0] for one in found)
            assert pending.done()
            there = found[0] if speaks == "host" else found[0].numpy()
            np.testing.assert_array_equal(there, x)


@pytest.mark.parametrize("kind", ["host", "gpu", "streams"])
def test_sixteen_threads(kind: str) -> None:
    with loopback(contexts=4) as engine:

        def many(thread: int) -> None:
            numbers = np.random.default_rng(thread)
            flags = int(cuda.call("cudaStreamCreateWithFlags", 1))
            stream = flags if kind == "streams" else None
            for turn in range(200):
                x = _rows(int(numbers.integers(1, 512)), 1000 * thread + turn)
                given = x if kind == "host" else Raw(x, "dlpack")
                found = engine.run({"x0": given}, stream=stream)["y0"]
                there = found if kind == "host" else found.numpy()
                np.testing.assert_array_equal(there, x)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(many, range(16)))
        assert 1 < engine.contexts.peak <= 4


def test_repeated_runs_are_replayed() -> None:
    with loopback(contexts=1) as engine:
        given = [Raw(_rows(count, count)) for count in (3, 5, 3)]
        for _ in range(10):
            for one in given:
                found = engine.run({"x0": one})["y0"]
                np.testing.assert_array_equal(found.numpy(), one.array)
                del found
        (graphs,) = _graphs(engine)
        assert graphs.count == 3
        assert graphs.replays >= 18
        x = _rows(9)
        before = graphs.replays
        for turn in range(8):
            np.testing.assert_array_equal(engine.run({"x0": x + turn})["y0"], x + turn)
        assert graphs.replays >= before + 5


def test_arrays_that_move_are_replayed_from_a_place_that_stays() -> None:
    with loopback(contexts=1) as engine:
        given = [Raw(_rows(6, seed)) for seed in range(60)]
        for one in given:
            np.testing.assert_array_equal(engine.run({"x0": one})["y0"].numpy(), one.array)
        (graphs,) = _graphs(engine)
        assert graphs.replays > 40


def test_graphs_are_bounded() -> None:
    with loopback(contexts=1) as engine:
        given = [Raw(_rows(count)) for count in range(1, 2 * CAPACITY + 1)]
        for _ in range(3):
            for one in given:
                np.testing.assert_array_equal(engine.run({"x0": one})["y0"].numpy(), one.array)
        (graphs,) = _graphs(engine)
        assert graphs.count == CAPACITY


def test_work_that_cannot_be_recorded_runs_as_before_with_one_warning() -> None:
    with loopback(waits=True, contexts=2) as engine, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        given = [Raw(_rows(count)) for count in (2, 3)]
        with ThreadPoolExecutor(2) as pool:
            for _ in range(30):
                for one, y in zip(
                    given, pool.map(lambda x: engine.run({"x0": x}), given), strict=True
                ):
                    np.testing.assert_array_equal(y["y0"].numpy(), one.array)
    texts = [str(w.message) for w in told if w.category is GraphWarning]
    assert len(texts) == 1
    assert "not replayed as CUDA graphs: cudaStreamSynchronize failed" in texts[0]


def test_memory_is_returned() -> None:
    def once() -> None:
        with loopback() as engine:
            for count in (1, 4096):
                engine.run({"x0": _rows(count)})
                for _ in range(4):
                    engine.run({"x0": Raw(_rows(count))})

    once()
    assert_returned(once, times=200, device=2 << 20, host=64 << 20)


def test_memory_is_returned_without_closing() -> None:
    def once() -> None:
        engine = loopback()
        engine.run({"x0": _rows(4096)})
        engine.run({"x0": Raw(_rows(4096))})

    once()
    assert_returned(once, times=50, device=2 << 20, host=64 << 20)


def test_outputs_outlive_their_engine() -> None:
    x = _rows(5)
    with loopback() as engine:
        closed = engine.run({"x0": Raw(x)})["y0"]
    dropped = loopback().run({"x0": Raw(x)})["y0"]
    gc.collect()
    np.testing.assert_array_equal(closed.numpy(), x)
    np.testing.assert_array_equal(dropped.numpy(), x)


def test_a_finished_output_is_not_written_over_while_another_stream_reads_it() -> None:
    stream, slow = int(cuda.call("cudaStreamCreateWithFlags", 1)), Slow()
    x, other = _rows(4096, 1), _rows(4096, 2)
    with loopback() as engine:
        given, later = Raw(x), Raw(other)
        first = engine.run({"x0": given})["y0"]
        slow.queue(stream, 50)
        second = engine.run({"x0": first}, stream=stream)["y0"]
        del first  # the stream has not read it yet
        kept = [engine.run({"x0": later})["y0"] for _ in range(4)]
        np.testing.assert_array_equal(second.numpy(), x)
        np.testing.assert_array_equal(kept[-1].numpy(), other)


def test_a_run_on_another_stream_takes_a_context_that_is_idle() -> None:
    busy, free = (int(cuda.call("cudaStreamCreateWithFlags", 1)) for _ in range(2))
    slow = Slow()
    with loopback(contexts=2) as engine:
        given = Raw(_rows(3))
        cuda.call("cudaDeviceSynchronize")
        slow.queue(busy, 2000)
        first = engine.run_async({"x0": given}, stream=busy)
        contexts = engine.executable._contexts  # type: ignore[attr-defined]
        assert len(list(contexts)) == 1
        second = engine.run_async({"x0": given}, stream=free)
        assert len(list(contexts)) == 2
        np.testing.assert_array_equal(second.result()["y0"].numpy(), given.array)
        assert not first.done()
        third = engine.run_async({"x0": given}, stream=busy)  # follows the first where that ran
        assert len(list(contexts)) == 2
        for one in (first, third):
            np.testing.assert_array_equal(one.result()["y0"].numpy(), given.array)


def test_libraries_of_the_host_are_refused() -> None:
    with loopback() as engine:
        found = engine.run({"x0": Raw(_rows(2))})["y0"]
        with pytest.raises((BufferError, RuntimeError), match="nsupported device"):
            np.from_dlpack(found)
        np.testing.assert_array_equal(found.numpy(), _rows(2))


def test_ten_thousand_runs_take_no_more_memory() -> None:
    with loopback() as engine:
        x = _rows(256)
        given = Raw(x)

        def run(times: int) -> None:
            for _ in range(times):
                engine.run({"x0": x})
                engine.run({"x0": given}, stream=0)

        run(100)
        assert_returned(lambda: run(10_000), device=2 << 20, host=32 << 20)


@pytest.mark.parametrize("offset", [0, 12])
def test_work_before_an_error_is_waited_for(offset: int) -> None:
    narrow, wide = np.arange(128).reshape(2, 64), np.full((2, 64), 2**40)
    stream, other = (int(cuda.call("cudaStreamCreateWithFlags", 1)) for _ in range(2))
    slow = Slow()
    with loopback(DType.INT64, DType.INT64, bound=DType.INT32, contexts=1) as engine:
        given = narrow if offset == 0 else Raw(narrow.astype(np.int32), offset=offset)
        engine.run({"x0": narrow, "x1": narrow})  # makes the context
        slow.queue(stream, 2000)
        event = cuda.call("cudaEventCreateWithFlags", 2)
        cuda.call("cudaEventRecord", event, stream)
        with pytest.raises(InputError, match="'x1' has integers that do not fit int32"):
            engine.run({"x0": given, "x1": wide}, stream=stream)
        assert not cuda.is_over(event)
        found = engine.run({"x0": narrow + 1, "x1": narrow + 2}, stream=other)
        assert cuda.is_over(event), "the copy of the run that failed has the same memory"
        np.testing.assert_array_equal(found["y0"], narrow + 1)
        np.testing.assert_array_equal(found["y1"], narrow + 2)


def test_failures_of_cuda_are_told() -> None:
    words = (
        r"^cudaMalloc failed: cudaErrorMemoryAllocation\n"
        r"  got:      1,125,899,906,842,624 bytes of memory of the GPU wanted, [\d,]+ free\n"
        r"  out of memory\n  Hint: give a smaller batch"
    )
    with pytest.raises(DeviceError, match=words):
        cuda.take("cudaMalloc", 1 << 50)
    engine = loopback()
    engine.close()
    with pytest.raises(ForwardError, match="the engine is closed"):
        engine.run({"x0": Raw(_rows(1))})
