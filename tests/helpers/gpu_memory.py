"""Arrays on the GPU without a library: what tests hand to engines."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.engine import dlpack
from fwd_core.ir import DType


class Raw:
    """Memory of the current GPU with an array's contents, by the CUDA array interface or DLPack.

    Args:
        array: The contents.
        speaks: ``interface`` or ``dlpack``.
        offset: Bytes before the first element.
        strides: Told in place of the array's own.
        stream: Told as the stream that has to be waited for.
    """

    def __init__(
        self,
        array: NDArray[Any],
        speaks: str = "interface",
        offset: int = 0,
        strides: tuple[int, ...] | None = None,
        stream: int | None = None,
    ) -> None:
        self.device = int(cuda.call("cudaGetDevice"))
        self._start = int(cuda.call("cudaMalloc", max(array.nbytes, 1) + offset))
        self.address = self._start + offset
        self.array, self._strides, self._stream = array, strides, stream
        self.asked: list[int] = []
        if speaks == "dlpack":
            self.__class__ = _ByDLPack
        self.write(array)
        cuda.call("cudaStreamSynchronize", 0)  # it is read on streams that do not wait for this one

    def write(self, array: NDArray[Any], stream: int = 0) -> None:
        """Replace the contents, in the order of a stream."""
        array = np.ascontiguousarray(array)
        if array.nbytes:
            cuda.to_device(self.address, array.ctypes.data, array.nbytes, stream)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.array.shape,
            "typestr": self.array.dtype.str,
            "data": (self.address, False),
            "strides": self._strides,
            "stream": self._stream,
        }

    def __del__(self) -> None:
        with cuda.capturing:  # CUDA waits for the device first, which spoils recordings
            cuda.call("cudaFree", self._start)


class _ByDLPack(Raw):
    """The same, by DLPack alone; remembers the streams that it was asked for."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        raise AttributeError

    def __dlpack__(self, stream: int | None = None) -> Any:
        self.asked.append(-1 if stream is None else stream)
        kind = DType.of(self.array.dtype)
        return dlpack.lend(self, self.address, self.array.shape, kind, self.__dlpack_device__())

    def __dlpack_device__(self) -> tuple[int, int]:
        return (dlpack.CUDA, self.device)


def free_memory() -> int:
    """Bytes of the device that are free, when all its work is done."""
    cuda.call("cudaDeviceSynchronize")
    return int(cuda.call("cudaMemGetInfo")[0])


def resident() -> int:
    """Bytes of the host that the process has in use."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()


def assert_returned(
    work: Callable[[], object], *, device: int, host: int, times: int = 1, attempts: int = 3
) -> None:
    """Assert that work takes no more bytes of the device and of the host than allowed.

    CUDA tells what is free on the whole GPU, so it should be idle otherwise. Because it may not
    be, the work is repeated, and the best attempt counts.
    """
    found = []
    for _ in range(attempts):
        gc.collect()
        free, size = free_memory(), resident()
        for _ in range(times):
            work()
        gc.collect()
        found.append((free - free_memory(), resident() - size))
        if found[-1][0] <= device and found[-1][1] <= host:
            return
    raise AssertionError(f"more than {device} and {host} bytes each time: {found}")


class Slow:
    """Work that keeps a stream busy: copies of 256 MB within the device, about 0.2 ms each."""

    def __init__(self) -> None:
        self._size = 256 << 20
        self._places = [int(cuda.call("cudaMalloc", self._size)) for _ in range(2)]

    def queue(self, stream: int, times: int = 100) -> None:
        """Put it on a stream."""
        for _ in range(times):
            cuda.within(self._places[1], self._places[0], self._size, stream)

    def __del__(self) -> None:
        cuda.call("cudaDeviceSynchronize")
        for place in self._places:
            cuda.call("cudaFree", place)
