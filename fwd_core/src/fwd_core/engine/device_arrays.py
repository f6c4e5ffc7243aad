"""Arrays that lie on a GPU: those that a caller gives, and those that an engine gives back.

Neither side needs the other's library: memory is handed over by the CUDA array interface
(https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html) or by DLPack
(https://dmlc.github.io/dlpack), with the stream in whose order it may be used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.base import Port
from fwd_core.engine import dlpack
from fwd_core.errors import InputError
from fwd_core.ir.dtypes import DType

#: CUDA's default stream as both protocols spell it; they do not allow its handle, which is 0.
DEFAULT_STREAM = 1
#: Tells the GPU whose memory an address is in; ``None`` for memory that all of them reach.
Locate = Callable[[int], Union[int, None]]
_TYPESTR = {dtype.storage.str: dtype for dtype in DType if dtype is not DType.BFLOAT16}


def typestr(dtype: DType) -> str:
    """How the CUDA array interface tells an element type; ``""`` for bfloat16, which it cannot."""
    return "" if dtype is DType.BFLOAT16 else dtype.storage.str


class Memory(ABC):
    """Device memory that goes back to where it came from with the last reference.

    Attributes:
        address: Where it begins.
        stream: Handle of the stream in whose order it was written, ``None`` when it is finished.
    """

    address: int
    stream: int | None

    @abstractmethod
    def lend(self, stream: int | None) -> None:
        """Let work on another stream use it.

        Args:
            stream: Handle that will wait until the memory is written; ``None`` for a user whose
                stream is not known, who waits by itself.
        """

    @abstractmethod
    def read(self, target: NDArray[np.generic]) -> None:
        """Copy it to the host and wait for that."""


class DeviceArray:
    """An output that stays on the GPU: C-contiguous, and the caller's to keep.

    Any library takes it without a copy: ``torch.from_dlpack(array)``, ``cupy.asarray(array)``.

    Attributes:
        address: Address on the device.
        shape: Sizes in elements.
        dtype: Element type.
        device: Number of the GPU.
    """

    __slots__ = ("address", "device", "dtype", "memory", "shape")

    def __init__(
        self, memory: Memory, shape: tuple[int, ...], dtype: DType, device: int = 0
    ) -> None:
        self.memory = memory
        self.address = memory.address
        self.shape = shape
        self.dtype = dtype
        self.device = device

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def stream(self) -> int | None:
        """Handle of the stream in whose order it was written, ``None`` when it is finished."""
        return self.memory.stream

    def numpy(self) -> NDArray[Any]:
        """A copy on the host, when what writes the array is done. bfloat16 as uint16 words.

        Raises:
            DeviceError: The GPU failed.
        """
        array: NDArray[Any] = np.empty(self.shape, self.dtype.storage)
        if array.size:
            self.memory.read(array)
        return array

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3 of the protocol.

        Raises:
            AttributeError: The type is bfloat16, which the protocol does not have; DLPack does.
        """
        if self.dtype is DType.BFLOAT16:
            raise AttributeError("__cuda_array_interface__ has no bfloat16; use DLPack")
        self.memory.lend(None)
        stream = self.memory.stream
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.storage.str,
            "data": (self.address if math.prod(self.shape) else 0, False),
            "strides": None,
            "stream": (stream or DEFAULT_STREAM) if stream is not None else None,
        }

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule over the array's memory.

        Args:
            stream: The consumer's stream, which is made to wait: a handle, 1 for the default
                stream (also ``None``), 2 for the thread's own default, -1 to wait for nothing.
            max_version: Any: capsules are of the kind that every version reads.
            dl_device: The device that it is wanted on; only the array's own.
            copy: Whether a copy is wanted; only ``None`` and ``False``.

        Raises:
            BufferError: A copy or another device is wanted.
        """
        del max_version
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError(
                f"an array on GPU {self.device} is handed over where it is: copy it with "
                "numpy(), or with the library that takes it"
            )
        if stream != -1:
            self.memory.lend(0 if stream in (None, DEFAULT_STREAM) else stream)
        else:
            self.memory.lend(None)
        return dlpack.lend(
            self.memory, self.address, self.shape, self.dtype, self.__dlpack_device__()
        )

    def __dlpack_device__(self) -> tuple[int, int]:
        """CUDA, and the number of the GPU."""
        return (dlpack.CUDA, self.device)

    def __repr__(self) -> str:
        return f"<DeviceArray {self.dtype}{list(self.shape)} on GPU {self.device}>"


class Given:
    """An array of the caller's on the GPU.

    Attributes:
        address: Address on the device.
        shape: Sizes in elements.
        dtype: Element type, of those that an engine binds.
        stream: Handle of a stream that has to be waited for, ``None`` for none.
        keep: What must live until the run is over.
    """

    __slots__ = ("address", "dtype", "keep", "shape", "stream")

    def __init__(
        self, address: int, shape: tuple[int, ...], dtype: DType, stream: int | None, keep: Any
    ) -> None:
        self.address = address
        self.shape = shape
        self.dtype = dtype
        self.stream = stream
        self.keep = keep

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def on_device(given: Any) -> bool:
    """Whether an array lies in the memory of a GPU."""
    kind = type(given)
    if kind is np.ndarray:
        return False
    if kind is DeviceArray:
        return True
    if hasattr(given, "__dlpack_device__"):
        try:
            return given.__dlpack_device__()[0] in (dlpack.CUDA, dlpack.CUDA_MANAGED)
        except (BufferError, RuntimeError, TypeError, ValueError):
            return False  # a device that DLPack does not have, which reading it will tell
    return hasattr(given, "__cuda_array_interface__")


def as_given(
    port: Port,
    bound: DType,
    given: Any,
    device: int,
    stream: int | None,
    own: int,
    device_of: Locate | None = None,
) -> Given:
    """The caller's array as a run takes it.

    Args:
        port: The input.
        bound: The type that the engine binds for it.
        given: An array for which :func:`on_device` is true.
        device: Number of the engine's GPU.
        stream: Handle of the caller's stream, on which the array is ready; ``None`` if the
            producer has to be asked to make ``own`` wait.
        own: Handle of the stream that the run will use if the caller has none.
        device_of: As for :func:`by_interface`.

    Raises:
        InputError: The dtype differs, it lies on another GPU, or it is not C-contiguous.
    """
    if type(given) is DeviceArray:
        if given.device != device:
            raise _elsewhere(port, given.device, device)
        if given.dtype is not bound:
            raise _wrong_dtype(port, bound, given.dtype, given.shape)
        ready = given.memory.stream
        # Also when it is finished: the caller may drop it while its stream still reads it.
        if ready != stream:
            given.memory.lend(own if stream is None else stream)
        return Given(given.address, given.shape, bound, None, given)
    if stream is not None or not hasattr(given, "__dlpack__"):
        found = by_interface(port, bound, given, device, device_of)
        if found is not None:
            return found
    return _by_dlpack(port, bound, given, device, own if stream is None else stream)


def by_interface(
    port: Port, bound: DType, given: Any, device: int | None, device_of: Locate | None = None
) -> Given | None:
    """The caller's array, if it tells itself by the CUDA array interface.

    Args:
        port: The input.
        bound: The type that the engine binds for it.
        given: What the caller gave, an array or not.
        device: Number of the engine's GPU; ``None`` where there is no other.
        device_of: Tells the GPU whose memory an address is in, because the protocol does not;
            ``None`` where arrays that speak DLPack too tell it well enough.

    Returns:
        What a run takes; ``None`` for what does not speak that protocol.

    Raises:
        InputError: As :func:`as_given`.
    """
    if bound is DType.BFLOAT16:
        return None
    try:
        told: Mapping[str, Any] = given.__cuda_array_interface__
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None  # an array that can only be told by DLPack, or by neither
    dtype = _TYPESTR.get(told["typestr"])
    shape = tuple(told["shape"])
    if dtype is not bound:
        raise _wrong_dtype(port, bound, dtype or told["typestr"], shape)
    strides = told.get("strides")
    if strides is not None:
        size = bound.itemsize
        if not dlpack.is_contiguous(shape, [stride // size for stride in strides]):
            raise _strided(port, shape)
    if told.get("mask") is not None:
        raise InputError(
            f"input {port.name!r} has a mask",
            expected="an array whose elements are all valid",
            hint="fill the masked elements on the GPU",
        )
    address = told["data"][0]
    if device is not None:
        _check_device(port, given, address, device, device_of)
    stream = told.get("stream")
    return Given(address, shape, bound, 0 if stream == DEFAULT_STREAM else stream, given)


def _check_device(
    port: Port, given: Any, address: int, device: int, device_of: Locate | None
) -> None:
    if device_of is not None:
        found = device_of(address) if address else None
    else:
        found = given.__dlpack_device__()[1] if hasattr(given, "__dlpack_device__") else None
    if found is not None and found != device:
        raise _elsewhere(port, found, device)


def _by_dlpack(port: Port, bound: DType, given: Any, device: int, stream: int) -> Given:
    # Asked first: PyTorch refuses to hand out a tensor of a GPU that is not the current one.
    _check_device(port, given, 0, device, None)
    try:
        found = dlpack.take(given.__dlpack__(stream=stream or DEFAULT_STREAM))
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"input {port.name!r}: this {type(given).__name__} cannot be read",
            expected=port.type,
            details=[str(error)],
            hint="detach it if it has a gradient, and give a dense array",
        ) from None
    if found.device[1] != device:
        raise _elsewhere(port, found.device[1], device)
    if found.dtype is not bound:
        raise _wrong_dtype(port, bound, found.dtype or "another type", found.shape)
    if not dlpack.is_contiguous(found.shape, found.strides):
        raise _strided(port, found.shape)
    return Given(found.address, found.shape, bound, None, found.held)


def _elsewhere(port: Port, found: int, wanted: int) -> InputError:
    return InputError(
        f"input {port.name!r} is on another GPU than the engine",
        expected=f"GPU {wanted}",
        got=f"GPU {found}",
        hint="copy it to the engine's GPU, or load the engine on the array's",
    )


def _wrong_dtype(
    port: Port, bound: DType, found: DType | str, shape: tuple[int, ...]
) -> InputError:
    own = port.type.dtype
    told = f"{bound}{list(shape)}" + f" on the GPU, where this engine has no {own}" * (
        own is not bound
    )
    return InputError(
        f"input {port.name!r} has the wrong dtype",
        expected=told,
        got=f"{found}{list(shape)}",
        hint=f"convert it to {bound} on the GPU, or give an array on the host",
    )


def _strided(port: Port, shape: tuple[int, ...]) -> InputError:
    return InputError(
        f"input {port.name!r} is not C-contiguous",
        expected="elements one after the other, the last axis fastest",
        got=f"{list(shape)} with other strides",
        hint="make it so on the GPU (tensor.contiguous(), cupy.ascontiguousarray(array))",
    )


def stream_handle(stream: Any) -> int:
    """The handle of a CUDA stream.

    Args:
        stream: An integer; or an object that has ``__cuda_stream__`` (the protocol of
            cuda.core), ``cuda_stream`` (torch), ``ptr`` (CuPy) or converts to an integer.

    Raises:
        InputError: It is none of these.
    """
    if type(stream) is int:
        return stream
    if hasattr(stream, "__cuda_stream__"):
        told = stream.__cuda_stream__
        return int((told() if callable(told) else told)[1])
    for name in ("cuda_stream", "ptr"):
        if isinstance(getattr(stream, name, None), int):
            return int(getattr(stream, name))
    try:
        if not isinstance(stream, (str, bytes, float)):
            return int(stream)
    except (TypeError, ValueError):
        pass
    raise InputError(
        "this is no CUDA stream",
        expected="a handle, or a stream of torch, CuPy or cuda.core",
        got=type(stream).__name__,
    )
