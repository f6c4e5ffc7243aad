"""Memory of the host that is lent and told as memory of a GPU is; nothing of CUDA is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.engine import dlpack
from fwd_core.engine.device_arrays import Memory
from fwd_core.ir import DType

Array = NDArray[Any]


class Lender:
    """Speaks DLPack over an array, by the capsules of Forward.

    Args:
        array: The memory.
        dtype: What its bits mean, by default its own type.
        device: What is told as the device.
    """

    def __init__(
        self, array: Array, dtype: DType | None = None, device: tuple[int, int] = (dlpack.CPU, 0)
    ) -> None:
        self.array, self.device = array, device
        self.dtype = DType.of(array.dtype) if dtype is None else dtype
        #: Streams that it was asked for.
        self.asked: list[int | None] = []

    def __dlpack__(self, *, stream: int | None = None, **_more: Any) -> Any:
        self.asked.append(stream)
        address = self.array.ctypes.data
        return dlpack.lend(self.array, address, self.array.shape, self.dtype, self.device)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class HostMemory(Memory):
    """A block over an array that writes down to whom it is lent."""

    def __init__(self, array: Array, stream: int | None = None) -> None:
        self.array = array
        self.address = array.ctypes.data
        self.stream = stream
        self.lent: list[int | None] = []

    def lend(self, stream: int | None) -> None:
        self.lent.append(stream)

    def read(self, target: Array) -> None:
        target[...] = self.array


class Told:
    """Speaks the CUDA array interface only.

    Args:
        array: The memory.
        more: What is told otherwise than the array's own.
    """

    def __init__(self, array: Array, **more: Any) -> None:
        self.array, self.more = array, more

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.array.shape,
            "typestr": self.array.dtype.str,
            "data": (self.array.ctypes.data, False),
            **self.more,
        }


class ToldTwice(Told, Lender):
    """Speaks the CUDA array interface and DLPack, as torch's tensors do."""

    def __init__(
        self,
        array: Array,
        device: tuple[int, int] = (dlpack.CUDA, 0),
        dtype: DType | None = None,
    ) -> None:
        Told.__init__(self, array)
        Lender.__init__(self, array, dtype, device)


class Store:
    """What a pool of blocks takes from and gives back to.

    Args:
        room: How many bytes may be out at once.
        full: Makes the error that is raised when there is no room.
    """

    def __init__(self, room: int = 1 << 40, full: Callable[[], Exception] = MemoryError) -> None:
        self.room, self.full = room, full
        self.out: dict[int, Array] = {}
        #: How many times something was taken.
        self.taken = 0

    def take(self, size: int) -> int:
        if self.used + size > self.room:
            raise self.full()
        array = np.empty(size, np.uint8)
        self.out[array.ctypes.data] = array
        self.taken += 1
        return array.ctypes.data

    def give(self, addresses: list[int]) -> None:
        for address in addresses:
            del self.out[address]

    @property
    def used(self) -> int:
        """Bytes that are out."""
        return sum(array.nbytes for array in list(self.out.values()))
