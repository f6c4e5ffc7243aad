"""Arrays on the device, made through CUDA's runtime: no framework allocates them."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda


class DeviceBuffer:
    """A dense array on the current device.

    Attributes:
        address: Where it is.
        shape: Its shape.
        dtype: Its NumPy type.

    Raises:
        CudaError: There is no memory left.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self.address = int(cuda.call("cudaMalloc", max(self.nbytes, 1)))
        self._release = weakref.finalize(self, cuda.call, "cudaFree", self.address)
        self._release.atexit = False  # the driver may be gone by then, and frees all itself

    @classmethod
    def of(cls, array: NDArray[Any], dtype: Any = None) -> DeviceBuffer:
        """A copy of an array of the host, in a type of its own if asked for."""
        dense = np.array(array, dtype, order="C", copy=True)
        buffer = cls(dense.shape, dense.dtype)
        kind = cuda.runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
        cuda.call("cudaMemcpy", buffer.address, dense.ctypes.data, dense.nbytes, kind)
        cuda.call("cudaDeviceSynchronize")  # such a copy may return before it has ended
        return buffer

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
        }

    def numpy(self) -> NDArray[Any]:
        """A copy on the host."""
        array = np.empty(self.shape, self.dtype)
        kind = cuda.runtime().cudaMemcpyKind.cudaMemcpyDeviceToHost
        cuda.call("cudaMemcpy", array.ctypes.data, self.address, self.nbytes, kind)
        return array
