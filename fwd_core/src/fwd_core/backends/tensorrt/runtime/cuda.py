"""CUDA calls: each returns its values or raises with CUDA's own name of the error."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from fwd_core.errors import ForwardError


class DeviceError(ForwardError):
    """The GPU, or TensorRT on it, failed while an engine was loaded or ran."""


class CudaError(DeviceError):
    """A CUDA call failed.

    Attributes:
        name: CUDA's name of the error, as ``cudaErrorMemoryAllocation``.
    """

    def __init__(self, call: str, name: str, text: str) -> None:
        self.name = name
        super().__init__(f"{call} failed: {name}", details=[text] if text else [])


@lru_cache(maxsize=None)
def runtime() -> ModuleType:
    """The bindings of CUDA's runtime library.

    Raises:
        CudaError: They are not installed.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        missing = f"cuda-bindings cannot be imported: {error}"
        raise CudaError("import cuda.bindings", "not installed", missing) from None


def call(name: str, *args: Any) -> Any:
    """Call a function of the runtime library by name.

    Returns:
        What it returns beside the status: nothing, one value, or a tuple of several.

    Raises:
        CudaError: The status is not ``cudaSuccess``, or the bindings are not installed.
    """
    library = runtime()
    status, *values = getattr(library, name)(*args)
    if status != library.cudaError_t.cudaSuccess:
        raise _failure(name, status)
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


@lru_cache(maxsize=None)
def quick(name: str) -> Callable[..., None]:
    """A function of the runtime library that returns a status alone, looked up once.

    Raises:
        CudaError: When it is called: the status is not ``cudaSuccess``.
    """
    library = runtime()
    function, good = getattr(library, name), library.cudaError_t.cudaSuccess

    def checked(*args: Any) -> None:
        (status,) = function(*args)
        if status != good:
            raise _failure(name, status)

    return checked


def _failure(name: str, status: Any) -> CudaError:
    library = runtime()
    _, known = library.cudaGetErrorName(status)
    _, text = library.cudaGetErrorString(status)
    return CudaError(name, known.decode(), text.decode())


#: Held while a stream is captured and while memory is given back: giving back waits for all
#: streams, and CUDA refuses to wait for one that is being captured.
capturing = threading.RLock()


def take(function: str, size: int) -> int:
    """Address of so many bytes.

    Args:
        function: ``cudaMalloc`` or ``cudaMallocHost``.
        size: Bytes.

    Raises:
        CudaError: There is no memory left.
    """
    return int(call(function, size))


def give(function: str, addresses: list[int]) -> None:
    """Give memory back, when all work of the device is done.

    Args:
        function: ``cudaFree`` or ``cudaFreeHost``.
        addresses: From :func:`take`.

    Raises:
        CudaError: The work has failed.
    """
    with capturing:
        call("cudaDeviceSynchronize")
        for address in addresses:
            call(function, address)


def to_device(target: int, source: int, size: int, stream: int) -> None:
    """Queue a copy of bytes of the host to the device."""
    kind = runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
    call("cudaMemcpyAsync", target, source, size, kind, stream)


def to_host(target: int, source: int, size: int, stream: int) -> None:
    """Queue a copy of bytes of the device to the host."""
    kind = runtime().cudaMemcpyKind.cudaMemcpyDeviceToHost
    call("cudaMemcpyAsync", target, source, size, kind, stream)


def within(target: int, source: int, size: int, stream: int) -> None:
    """Queue a copy of bytes from one place of the device to another."""
    kind = runtime().cudaMemcpyKind.cudaMemcpyDeviceToDevice
    call("cudaMemcpyAsync", target, source, size, kind, stream)


def is_over(event: Any) -> bool:
    """Whether the work before an event is done.

    Raises:
        CudaError: The work has failed.
    """
    library = runtime()
    (status,) = library.cudaEventQuery(event)
    if status == library.cudaError_t.cudaErrorNotReady:
        return False
    if status != library.cudaError_t.cudaSuccess:
        call("cudaEventQuery", event)
    return True


def follow(stream: int, other: int) -> None:
    """Make a stream wait for what has been queued on another until now."""
    event = call("cudaEventCreateWithFlags", runtime().cudaEventDisableTiming)
    try:
        call("cudaEventRecord", event, other)
        call("cudaStreamWaitEvent", stream, event, 0)
    finally:
        call("cudaEventDestroy", event)  # CUDA keeps it until the wait is over
