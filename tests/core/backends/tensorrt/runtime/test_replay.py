"""Runs on a caller's stream that repeat: the short way, and what is left to the long one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from gpu_loopback import loopback
from gpu_memory import Raw
from host_cuda import HostCuda, host_cuda
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.engine import DeviceArray, Engine
from fwd_core.errors import CudaError, InputError
from fwd_core.ir import DType


@pytest.fixture(autouse=True)
def gpus() -> Iterator[HostCuda]:
    with host_cuda() as found:
        yield found


def _rows(count: int = 3, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 64), np.float32)


def _stream() -> int:
    return int(cuda.call("cudaStreamCreateWithFlags", 1))


def _context(engine: Engine) -> Any:
    (context,) = engine.executable._contexts  # type: ignore[attr-defined]
    return context


def _warm(engine: Engine, given: Any, stream: int) -> Any:
    """Run until such runs are replayed; the context."""
    for _ in range(3):
        engine.run_list([given], stream=stream)
    context = _context(engine)
    assert context.graphs[0].replays == 1
    return context


def _refused(*arguments: object) -> Any:
    raise AssertionError(f"the long way: {arguments}")


def test_runs_that_repeat_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(DType.FLOAT32, DType.INT32, contexts=1) as engine:
        stream = _stream()
        given = [Raw(_rows()), Raw(np.arange(192, dtype=np.int32).reshape(3, 64))]
        for _ in range(3):
            engine.run_list(given, stream=stream)
        context = _context(engine)
        monkeypatch.setattr(context, "accept", _refused)
        for turn in range(4):
            for one in given:
                one.write(one.array + turn, stream)
            found = engine.run_list(given, stream=stream)
            assert context.last == stream
            for one, source in zip(found, given, strict=True):
                assert (one.stream, one.shape, one.dtype) == (stream, (3, 64), one.dtype)
                np.testing.assert_array_equal(one.numpy(), source.array + turn)
            del found, one
        named = engine.run(dict(zip(("x0", "x1"), given, strict=True)), stream=stream)
        assert list(named) == ["y0", "y1"]
        assert context.graphs[0].replays == 1 + 5
        with pytest.raises(AssertionError, match="the long way"):
            engine.run_list([Raw(_rows()), given[1]], stream=stream)


def test_outputs_that_are_kept_are_not_written_over() -> None:
    with loopback(contexts=1) as engine:
        stream, given, kept = _stream(), Raw(_rows()), []
        for turn in range(12):
            given.write(given.array + turn, stream)
            kept.append(engine.run_list([given], stream=stream)[0])
            if turn % 3 == 2:
                del kept[0]
        assert len({one.address for one in kept}) == len(kept)
        for one, turn in zip(kept, (4, 5, 6, 7, 8, 9, 10, 11), strict=True):
            np.testing.assert_array_equal(one.numpy(), given.array + turn)


def test_an_output_on_the_stream_is_an_input_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(contexts=1) as engine, loopback(contexts=1) as other:
        stream, given = _stream(), Raw(_rows())
        for turn in range(6):
            if turn == 4:
                monkeypatch.setattr(_context(other), "accept", _refused)
            given.write(given.array + turn, stream)
            (middle,) = engine.run_list([given], stream=stream)
            (found,) = other.run_list([middle], stream=stream)
            assert not middle.memory.lent
            np.testing.assert_array_equal(found.numpy(), given.array + turn)
            del middle, found


class _Told(Raw):
    """Tells itself as it is asked to."""

    more: dict[str, Any] | None = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**super().__cuda_array_interface__, **(self.more or {})}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"typestr": "<f2"}, r"'x0' has the wrong dtype\n.*\n  got:      float16\[3, 64\]"),
        ({"strides": (4, 12)}, r"'x0' is not C-contiguous"),
        ({"mask": object()}, r"'x0' has a mask"),
        ({"shape": (3, 65)}, r"'x0': the size of axis 1 (.|\n)*got:      65"),
        ({"shape": (192,)}, r"'x0' has the wrong rank"),
    ],
)
def test_what_is_wrong_later_is_refused_as_at_first(more: dict[str, Any], words: str) -> None:
    with loopback(contexts=1) as engine:
        stream, given = _stream(), _Told(_rows())
        _warm(engine, given, stream)
        given.more = more
        with pytest.raises(InputError, match=words):
            engine.run_list([given], stream=stream)
        given.more = None
        np.testing.assert_array_equal(
            engine.run_list([given], stream=stream)[0].numpy(), given.array
        )


def _elsewhere(given: _Told, engine: Engine, stream: int) -> Any:
    """The contents come late on a stream of the producer's, which it tells."""
    del engine, stream
    given.write(given.array + 1, late := _stream())
    given.more = {"stream": late}
    return given


def _finished(given: _Told, engine: Engine, stream: int) -> Any:
    """An output of a run that was waited for."""
    del stream
    return engine.run_list([Raw(given.array + 1)])[0]


def _of_the_host(given: _Told, engine: Engine, stream: int) -> Any:
    del engine, stream
    return given.array + 1


def _anywhere(given: _Told, engine: Engine, stream: int) -> Any:
    del engine, stream
    return Raw(given.array + 1, offset=12)


def _by_dlpack(given: _Told, engine: Engine, stream: int) -> Any:
    del engine, stream
    return Raw(given.array + 1, "dlpack")


@pytest.mark.parametrize("other", [_elsewhere, _finished, _of_the_host, _anywhere, _by_dlpack])
def test_what_comes_another_way_is_right(other: Callable[[_Told, Engine, int], Any]) -> None:
    with loopback(contexts=1) as engine:
        stream, given = _stream(), _Told(_rows())
        wanted = given.array + 1
        context = _warm(engine, given, stream)
        (found,) = engine.run_list([other(given, engine, stream)], stream=stream)
        assert context.graphs[0].replays == 2 or other is not _elsewhere
        there = found.numpy() if isinstance(found, DeviceArray) else found
        np.testing.assert_array_equal(there, wanted)


def test_another_stream_waits_for_the_last_run() -> None:
    with loopback(contexts=1) as engine:
        one, two, given = _stream(), _stream(), Raw(_rows())
        for stream in (one, two):
            for _ in range(3):
                engine.run_list([given], stream=stream)
        event = cuda.call("cudaEventCreateWithFlags", 2)
        (first,) = engine.run_list([given], stream=one)
        cuda.call("cudaEventRecord", event, one)
        (second,) = engine.run_list([given], stream=two)
        np.testing.assert_array_equal(second.numpy(), given.array)
        assert cuda.is_over(_context(engine)._done)
        assert not cuda.is_over(event), "only what the context queued is waited for"
        np.testing.assert_array_equal(first.numpy(), given.array)


def test_a_launch_that_fails_forgets_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(contexts=1) as engine:
        one, two, given = _stream(), _stream(), Raw(_rows())
        context = _warm(engine, given, one)
        context.last = None

        def failing(graph: Any, stream: int) -> None:
            del graph
            raise CudaError("cudaGraphLaunch", "cudaErrorUnknown", f"on {stream}")

        with monkeypatch.context() as patch:
            patch.setattr(context.graphs[0], "_launch", failing)
            with pytest.raises(CudaError, match=f"cudaGraphLaunch failed(.|\n)*on {one}"):
                engine.run_list([given], stream=one)
        assert context.last == one
        assert not cuda.is_over(context._done)
        (found,) = engine.run_list([given], stream=two)
        np.testing.assert_array_equal(found.numpy(), given.array)
