"""Memory of an execution context: on the device, and pinned on the host to copy from and to.

Buffers grow and are kept, so that a context in steady use allocates nothing.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda

#: TensorRT wants an address for empty tensors too.
_LEAST = 256


class _Buffer:
    """Memory that grows, and is given back when it is not needed any more.

    Args:
        spare: Gives back what lies idle elsewhere, asked for when there is no memory left.

    Attributes:
        address: Where it begins; 0 before the first :meth:`reserve`.
        size: Bytes there are.
    """

    #: CUDA's functions that take memory and give it back.
    calls: ClassVar[tuple[str, str]]

    def __init__(self, spare: Callable[[], None] | None = None) -> None:
        self._spare = spare
        self.address = 0
        self.size = 0
        self._release: weakref.finalize[..., _Buffer] | None = None

    def reserve(self, size: int) -> int:
        """Have room for so many bytes; what was there is lost when it grows. Returns the address.

        Raises:
            CudaError: There is no memory left.
        """
        if size > self.size or not self.address:
            self.free()
            wanted = max(size, _LEAST)
            take, give_back = self.calls
            self.address = self._taken(take, wanted)
            self.size = wanted
            self._release = weakref.finalize(self, cuda.call, give_back, self.address)
            self._release.atexit = False  # the driver may be gone by then, and frees all itself
        return self.address

    def _taken(self, function: str, size: int) -> int:
        try:
            return cuda.take(function, size)
        except cuda.CudaError as error:
            if self._spare is None or error.name != cuda.OUT_OF_MEMORY:
                raise
        self._spare()
        return cuda.take(function, size)

    def free(self) -> None:
        """Give the memory back."""
        if self._release is not None:
            self._release()
        self.address = self.size = 0
        self._release = None


class DeviceBuffer(_Buffer):
    """Memory on the device."""

    calls = ("cudaMalloc", "cudaFree")


class PinnedBuffer(_Buffer):
    """Memory of the host that the device copies from and to without help of the processor."""

    calls = ("cudaMallocHost", "cudaFreeHost")

    def array(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """The memory as an array, overwritten by the next use.

        Raises:
            CudaError: There is no memory left.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return view(self.reserve(size), shape, dtype)


def view(address: int, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Memory of the host as an array that does not keep it alive."""
    count = int(np.prod(shape, dtype=np.int64))
    memory = (ctypes.c_byte * max(count * dtype.itemsize, 1)).from_address(address)
    flat: NDArray[np.generic] = np.frombuffer(memoryview(memory), dtype, count)
    return flat.reshape(shape)
