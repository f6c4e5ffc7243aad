# ruff: noqa: N802, N815
# The names are CUDA's.
"""CUDA's runtime library over memory of the host, for what the GPU's own tests cannot show here.

It is as slow as CUDA may be: what is on a stream happens when someone waits for it, and not
before, so that code that forgets to wait finds memory as it was. Its GPUs are several, as many as
are asked for.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import pytest

from fwd_core.backends.tensorrt.runtime import cuda

Answer = tuple[Any, ...]


class Error(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInvalidDevice = 101
    cudaErrorInvalidResourceHandle = 400
    cudaErrorNotReady = 600
    cudaErrorStreamCaptureUnsupported = 900


class Work:
    """One thing on a stream, and what has to be done before it."""

    def __init__(self, act: Callable[[], object], before: list[Work | None]) -> None:
        self.act, self.over = act, False
        self.before = [one for one in before if one is not None and not one.over]

    def do(self) -> None:
        waiting = [self]
        while waiting:
            one = waiting[-1]
            rest = [other for other in one.before if not other.over]
            if rest:
                waiting += rest
            elif not one.over:
                one.act()
                one.over, one.before = True, []
            else:
                waiting.pop()


class Stream:
    def __init__(self, device: int, *, blocking: bool) -> None:
        self.device, self.blocking = device, blocking
        self.last: Work | None = None
        self.captured: list[Callable[[], object]] | None = None


class Event:
    def __init__(self, device: int) -> None:
        self.device, self.gone = device, False
        self.work: Work | None = None


class HostCuda:
    """What ``cuda.bindings.runtime`` has of what Forward calls.

    Args:
        gpus: How many there are.
        room: Bytes of memory of each.

    Attributes:
        current: Number of the GPU that each thread is at.
        memory: What is taken, by address: the array, and the GPU or ``None`` for the host.
        waits: How many times a whole GPU was waited for, by its number.
    """

    cudaError_t = Error
    cudaMemcpyKind = SimpleNamespace(
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaMemoryType = SimpleNamespace(cudaMemoryTypeUnregistered=0, cudaMemoryTypeDevice=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
    cudaEventDisableTiming, cudaStreamNonBlocking = 2, 1

    def __init__(self, gpus: int = 1, room: int = 1 << 40) -> None:
        self.gpus, self.room = gpus, room
        self.current = threading.local()
        self.memory: dict[int, tuple[Any, int | None]] = {}
        self.waits = [0] * gpus
        self._lock = threading.RLock()
        self._streams: dict[int, Stream] = {}
        self._default = [Stream(gpu, blocking=True) for gpu in range(gpus)]
        self._next = 1000

    @property
    def here(self) -> int:
        """Number of the GPU that this thread is at."""
        return getattr(self.current, "number", 0)

    def cudaGetErrorName(self, status: Error) -> Answer:
        return 0, status.name.encode()

    def cudaGetErrorString(self, status: Error) -> Answer:
        return 0, f"error {int(status)}".encode()

    def cudaGetDeviceCount(self) -> Answer:
        return 0, self.gpus

    def cudaGetDevice(self) -> Answer:
        return 0, self.here

    def cudaSetDevice(self, number: int) -> Answer:
        if not 0 <= number < self.gpus:
            return (Error.cudaErrorInvalidDevice,)
        self.current.number = number
        return (0,)

    def cudaGetDeviceProperties(self, number: int) -> Answer:
        del number
        return 0, SimpleNamespace(name=b"Host", major=9, minor=0)

    def cudaMemGetInfo(self) -> Answer:
        return 0, self.room - self.used(self.here), self.room

    def used(self, gpu: int | None) -> int:
        """Bytes that are taken of a GPU, or of the host."""
        with self._lock:
            return sum(len(place) for place, where in self.memory.values() if where == gpu)

    def _take(self, size: int, where: int | None) -> Answer:
        if self.used(where) + size > self.room:
            return Error.cudaErrorMemoryAllocation, 0
        place = (ctypes.c_byte * (size + 256))()
        address = -(-ctypes.addressof(place) // 256) * 256
        with self._lock:
            self.memory[address] = place, where
        return 0, address

    def cudaMalloc(self, size: int) -> Answer:
        return self._take(size, self.here)

    def cudaMallocHost(self, size: int) -> Answer:
        return self._take(size, None)

    def cudaFree(self, address: int) -> Answer:
        with self._lock:
            where = self.memory[address][1]
            for gpu in range(self.gpus) if where is None else [where]:
                self._all(gpu)
            del self.memory[address]
        return (0,)

    cudaFreeHost = cudaFree

    def cudaPointerGetAttributes(self, address: int) -> Answer:
        with self._lock:
            places = list(self.memory.items())
        for start, (place, where) in places:
            if start <= address < start + len(place) and where is not None:
                return 0, SimpleNamespace(type=2, device=where)
        return 0, SimpleNamespace(type=0, device=-2)

    def _stream(self, handle: int) -> Stream:
        default = handle in (0, 1, 2)
        return self._default[self.here] if default else self._streams[int(handle)]

    def _put(self, stream: Stream, act: Callable[[], object], *more: Work | None) -> Work:
        with self._lock:
            if stream.captured is not None:
                stream.captured.append(act)
                return Work(act, [])
            before = [stream.last, *more]
            if stream in self._default:
                before += [s.last for s in self._streams.values() if s.blocking]
            elif stream.blocking:
                before.append(self._default[stream.device].last)
            stream.last = Work(act, before)
            return stream.last

    def _wait(self, work: Work | None) -> Answer:
        if work is not None:
            with self._lock:
                work.do()
        return (0,)

    def _all(self, gpu: int) -> None:
        for stream in [self._default[gpu], *self._streams.values()]:
            if stream.device == gpu:
                self._wait(stream.last)

    def cudaDeviceSynchronize(self) -> Answer:
        with self._lock:
            self.waits[self.here] += 1
            self._all(self.here)
        return (0,)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: int, stream: int
    ) -> Answer:
        found = self._stream(stream)
        if kind == 1 and not self._knows(source):  # memory that is not pinned is read at once
            staged = ctypes.string_at(source, size)
            self._put(found, lambda: ctypes.memmove(target, staged, size))
            return (0,)
        work = self._put(found, lambda: ctypes.memmove(target, source, size))
        if kind == 2 and not self._knows(target):
            return self._wait(work)
        return (0,)

    def _knows(self, address: int) -> bool:
        with self._lock:
            return any(
                start <= address < start + len(place)
                for start, (place, _where) in self.memory.items()
            )

    def cudaStreamCreate(self) -> Answer:
        return self.cudaStreamCreateWithFlags(0)

    def cudaStreamCreateWithFlags(self, flags: int) -> Answer:
        with self._lock:
            self._next += 1
            self._streams[self._next] = Stream(self.here, blocking=flags == 0)
            return 0, self._next

    def cudaStreamDestroy(self, stream: int) -> Answer:
        with self._lock:
            self._wait(self._streams.pop(int(stream)).last)
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> Answer:
        found = self._stream(stream)
        if found.captured is not None:
            return (Error.cudaErrorStreamCaptureUnsupported,)
        return self._wait(found.last)

    def cudaStreamWaitEvent(self, stream: int, event: Event, flags: int) -> Answer:
        del flags
        self._put(self._stream(stream), lambda: None, event.work)
        return (0,)

    def cudaEventCreateWithFlags(self, flags: int) -> Answer:
        del flags
        return 0, Event(self.here)

    def cudaEventRecord(self, event: Event, stream: int) -> Answer:
        found = self._stream(stream)
        if event.gone or found.device != event.device:
            return (Error.cudaErrorInvalidResourceHandle,)
        event.work = self._put(found, lambda: None)
        return (0,)

    def cudaEventQuery(self, event: Event) -> Answer:
        if event.gone:
            return (Error.cudaErrorInvalidResourceHandle,)
        return (0 if event.work is None or event.work.over else Error.cudaErrorNotReady,)

    def cudaEventSynchronize(self, event: Event) -> Answer:
        if event.gone:
            return (Error.cudaErrorInvalidResourceHandle,)
        return self._wait(event.work)

    def cudaEventDestroy(self, event: Event) -> Answer:
        event.gone = True
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> Answer:
        del mode
        self._stream(stream).captured = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> Answer:
        found = self._stream(stream)
        acts, found.captured = found.captured, None
        return 0, acts

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> Answer:
        del flags
        return 0, list(graph)

    def cudaGraphDestroy(self, graph: Any) -> Answer:
        del graph
        return (0,)

    cudaGraphExecDestroy = cudaGraphDestroy

    def cudaGraphLaunch(self, graph: Any, stream: int) -> Answer:
        for act in graph:
            self._put(self._stream(stream), act)
        return (0,)


@contextmanager
def host_cuda(gpus: int = 1, room: int = 1 << 40) -> Iterator[HostCuda]:
    """Let the runtime call it in place of CUDA; no engine of inside may be used outside."""
    found = HostCuda(gpus, room)
    cuda.quick.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "runtime", lambda: found)
        yield found
        gc.collect()  # what is given back later goes to another library
    cuda.quick.cache_clear()
