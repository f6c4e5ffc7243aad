"""Runs in their order, after failures, from many threads and beside other GPUs.

CUDA is played by the host: it does what is on a stream when someone waits for it, and not before.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gpu_loopback import loopback
from gpu_memory import Raw
from host_cuda import HostCuda, host_cuda
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda, executable
from fwd_core.engine import DeviceArray, dlpack
from fwd_core.errors import CudaError, DeviceError, InputError
from fwd_core.ir import DType


@pytest.fixture
def gpus(request: pytest.FixtureRequest) -> Iterator[HostCuda]:
    with host_cuda(getattr(request, "param", 1)) as found:
        yield found


def _rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 64), np.float32)


def _stream() -> int:
    return int(cuda.call("cudaStreamCreateWithFlags", 1))


def _over(stream: int) -> Any:
    """An event behind what is on a stream now."""
    event = cuda.call("cudaEventCreateWithFlags", 2)
    cuda.call("cudaEventRecord", event, stream)
    return event


@pytest.mark.usefixtures("gpus")
class TestOrder:
    def test_nothing_happens_before_someone_waits(self) -> None:
        with loopback() as engine:
            given, stream = Raw(_rows(3)), _stream()
            found = engine.run({"x0": given}, stream=stream)["y0"]
            event = _over(stream)
            assert not cuda.is_over(event)
            np.testing.assert_array_equal(found.numpy(), given.array)
            assert cuda.is_over(event)

    def test_repeated_runs_are_replayed(self) -> None:
        with loopback(contexts=1) as engine:
            given = Raw(_rows(3))
            for turn in range(6):
                given.write(given.array + turn)
                found = engine.run({"x0": given})["y0"]
                np.testing.assert_array_equal(found.numpy(), given.array + turn)
                del found
            (context,) = engine.executable._contexts  # type: ignore[attr-defined]
            assert sum(graphs.replays for graphs in context.graphs) >= 3

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), None])
    def test_outputs_of_one_size_come_back_to_their_places(
        self, order: tuple[int, ...] | None
    ) -> None:
        kinds = (DType.FLOAT32, DType.INT32, DType.FLOAT32)
        arrays = [_rows(3), np.arange(192, dtype=np.int32).reshape(3, 64), _rows(3, 1)]
        with loopback(*kinds, contexts=1) as engine:
            given = [Raw(array) for array in arrays]
            for _ in range(7):
                results = dict(enumerate(engine.run_list(given)))
                for place, array in enumerate(arrays):
                    np.testing.assert_array_equal(results[place].numpy(), array)
                for place in order or ():
                    del results[place]
            (context,) = engine.executable._contexts  # type: ignore[attr-defined]
            (graphs,) = context.graphs
            # The first run warms up and the second is recorded; where results are kept until the
            # next run is over, their memory alternates, and each of the two has a graph.
            wanted = (1, 5) if order else (2, 3)
            assert (graphs.count, graphs.replays) == wanted

    @pytest.mark.parametrize("offset", [0, 12])
    def test_work_before_an_error_is_waited_for(self, offset: int) -> None:
        narrow, wide = np.arange(128).reshape(2, 64), np.full((2, 64), 2**40)
        with loopback(DType.INT64, DType.INT64, bound=DType.INT32, contexts=1) as engine:
            stream, other = _stream(), _stream()
            given = narrow if offset == 0 else Raw(narrow.astype(np.int32), offset=offset)
            event = _over(stream)
            with pytest.raises(InputError, match="'x1' has integers that do not fit int32"):
                engine.run({"x0": given, "x1": wide}, stream=stream)
            (context,) = engine.executable._contexts  # type: ignore[attr-defined]
            assert context.last == stream
            assert not cuda.is_over(event)
            found = engine.run({"x0": narrow + 1, "x1": narrow + 2}, stream=other)
            assert cuda.is_over(event), "the copy of the run that failed has the same memory"
            np.testing.assert_array_equal(found["y0"], narrow + 1)
            np.testing.assert_array_equal(found["y1"], narrow + 2)

    def test_an_error_after_an_error_is_the_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with loopback(DType.INT64, bound=DType.INT32, contexts=1) as engine:
            engine.run({"x0": np.zeros((2, 64), np.int64)})
            (context,) = engine.executable._contexts  # type: ignore[attr-defined]

            def refused(event: Any, stream: int) -> None:
                raise CudaError("cudaEventRecord", "cudaErrorUnknown", f"{event}, {stream}")

            monkeypatch.setattr(context, "_record_done", refused)
            with pytest.raises(InputError, match="do not fit int32"):
                engine.run({"x0": np.full((2, 64), 2**40)})
            with pytest.raises(DeviceError, match="cudaEventRecord failed"):
                engine.run({"x0": np.zeros((2, 64), np.int64)})


@pytest.mark.usefixtures("gpus")
class TestPending:
    @pytest.mark.parametrize("host", [False, True])
    def test_sixteen_threads_wait_for_one_run(self, host: bool) -> None:
        x = _rows(64)
        with loopback() as engine, ThreadPoolExecutor(16) as threads:
            for _ in range(20):
                pending = engine.run_async({"x0": x if host else Raw(x)})
                results = list(threads.map(lambda _, one=pending: one.result()["y0"], range(16)))
                assert all(found is results[0] for found in results)
                asked = threads.map(lambda _, one=pending: one.done(), range(16))
                assert all(asked)
                there = results[0] if host else results[0].numpy()
                np.testing.assert_array_equal(there, x)

    def test_inputs_go_with_the_result_and_the_event_with_the_run(self) -> None:
        with loopback() as engine:
            given = Raw(_rows(3))
            pending = engine.run_async({"x0": given})
            event = pending._run._event  # type: ignore[attr-defined]
            assert not pending.done()
            pending.result()
            assert pending.done()
            assert not event.gone
            del pending
            gc.collect()
            assert event.gone


@pytest.mark.parametrize("gpus", [2], indirect=True)
class TestSeveralGpus:
    def test_the_callers_stays_what_it_was(self, gpus: HostCuda) -> None:
        with cuda.on(1):
            engine = loopback(DType.INT64, bound=DType.INT32)
            given = Raw(np.arange(128, dtype=np.int32).reshape(2, 64))
            stream = _stream()
        x = given.array.astype(np.int64)
        assert engine.executable.device == 1
        assert gpus.here == 0
        for _ in range(4):
            np.testing.assert_array_equal(engine.run({"x0": x})["y0"], x)
            assert gpus.here == 0
            found = engine.run({"x0": given}, stream=stream)["y0"]
            assert gpus.here == 0
            assert (found.device, found.__dlpack_device__()) == (1, (dlpack.CUDA, 1))
            again = engine.run_async({"x0": found})
            assert gpus.here == 0
            np.testing.assert_array_equal(again.result()["y0"].numpy(), given.array)
            dlpack.take(found.__dlpack__(stream=1))
            np.testing.assert_array_equal(found.numpy(), given.array)
            assert gpus.here == 0
        with pytest.raises(InputError, match="do not fit"):
            engine.run({"x0": x + 2**40})
        assert gpus.here == 0
        del found, again
        before = list(gpus.waits)
        engine.close()
        assert gpus.here == 0
        assert gpus.waits[0] == before[0]
        assert gpus.waits[1] > before[1], "the engine's own GPU is waited for"

    @pytest.mark.parametrize("speaks", ["interface", "dlpack"])
    @pytest.mark.parametrize("own", [False, True], ids=["without a stream", "on a stream"])
    def test_arrays_of_the_other_are_refused(self, gpus: HostCuda, speaks: str, own: bool) -> None:
        del gpus
        with cuda.on(1):
            engine = loopback()
            here, stream = Raw(_rows(2), speaks), _stream() if own else None
        there = Raw(_rows(2), speaks)
        words = (
            r"^input 'x0' is on another GPU than the engine\n"
            r"  expected: GPU 1\n  got:      GPU 0\n"
        )
        with engine:
            with pytest.raises(InputError, match=words):
                engine.run({"x0": there}, stream=stream)
            found = engine.run({"x0": here}, stream=stream)["y0"]
            np.testing.assert_array_equal(found.numpy(), here.array)

    def test_where_an_address_is(self, gpus: HostCuda) -> None:
        del gpus
        with cuda.on(1):
            one = Raw(_rows(2))
        assert cuda.device_of(one.address) == 1
        assert cuda.device_of(_rows(2).ctypes.data) is None
        assert cuda.switch(0) is None
        assert cuda.switch(1) == 0
        with pytest.raises(CudaError, match="cudaSetDevice failed: cudaErrorInvalidDevice"):
            cuda.switch(7)
        cuda.call("cudaSetDevice", 0)


class TestMemory:
    def test_what_is_missing_is_told(self) -> None:
        with host_cuda(room=1 << 20) as gpus:
            del gpus
            kept = cuda.take("cudaMalloc", 1000)
            free = (1 << 20) - 1256
            with pytest.raises(
                CudaError,
                match=r"^cudaMalloc failed: cudaErrorMemoryAllocation\n"
                rf"  got:      1,048,576 bytes of memory of the GPU wanted, {free:,} free\n"
                r"  error 2\n"
                r"  Hint: give a smaller batch, keep fewer engines or contexts, and close\(\) ",
            ):
                cuda.take("cudaMalloc", 1 << 20)
            with pytest.raises(CudaError, match="2,097,152 bytes of pinned memory of the host wa"):
                cuda.take("cudaMallocHost", 1 << 21)
            cuda.give("cudaFree", [kept])

    def test_a_buffer_takes_what_lies_idle(self) -> None:
        with host_cuda(room=3 << 20) as gpus, loopback(contexts=1) as engine:
            given = Raw(_rows(4096))
            for _ in range(6):  # the outputs of one size lie idle
                engine.run({"x0": given})
            del given
            assert engine.executable.blocks.held == 1 << 20  # type: ignore[attr-defined]
            assert engine.executable._contexts  # type: ignore[attr-defined]
            room = gpus.room - gpus.used(0)
            (context,) = engine.executable._contexts  # type: ignore[attr-defined]
            context._scratch.reserve(room + 1000)
            assert engine.executable.blocks.held == 0  # type: ignore[attr-defined]
            with pytest.raises(CudaError, match="bytes of memory of the GPU wanted"):
                context._scratch.reserve(4 << 20)

    def test_a_run_without_memory_can_be_tried_again(self) -> None:
        with host_cuda(room=3 << 20) as gpus, loopback(contexts=1) as engine:
            kept = [cuda.take("cudaMalloc", 1 << 20) for _ in range(2)]
            with pytest.raises(DeviceError, match="close\\(\\) engines that are not used"):
                engine.run({"x0": _rows(4096)})
            del gpus
            cuda.give("cudaFree", kept)
            np.testing.assert_array_equal(engine.run({"x0": _rows(4096)})["y0"], _rows(4096))


@pytest.mark.usefixtures("gpus")
def test_choices_of_profiles_are_bounded() -> None:
    with loopback() as engine:
        owner = engine.executable
        assert isinstance(owner, executable.DeviceExecutable)
        owner.ranges = [{"n": [0, 4, 4096]}, {"n": [0, 4000, 4096]}]
        owner.profiles = 2
        for turn in range(3000):
            assert owner.profile(((turn, 64),)) == (turn > 2002)
            assert len(owner._chosen) <= 1024


def test_outputs_of_the_gpu_are_arrays_of_it(gpus: HostCuda) -> None:
    del gpus
    with loopback() as engine:
        found = engine.run({"x0": Raw(_rows(2))})["y0"]
        assert isinstance(found, DeviceArray)
        assert (found.device, found.stream) == (0, None)
