"""CUDA calls: each returns its values or raises with CUDA's own name of the error."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from fwd_core.errors import CudaError, DeviceError

#: Errors have their home beside the others; here they are where they are raised.
__all__ = ["CudaError", "DeviceError"]
#: CUDA's name of the error for memory that there is not.
OUT_OF_MEMORY = "cudaErrorMemoryAllocation"


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
    try:
        return int(call(function, size))
    except CudaError as error:
        if error.name != OUT_OF_MEMORY:
            raise
        kind = "pinned memory of the host" if function == "cudaMallocHost" else "memory of the GPU"
        got = f"{size:,} bytes of {kind} wanted"
        if function == "cudaMalloc":
            got += f", {int(call('cudaMemGetInfo')[0]):,} free"
        raise CudaError(
            function,
            error.name,
            "\n".join(error.details),
            got=got,
            hint="give a smaller batch, keep fewer engines or contexts, and close() engines that "
            "are not used",
        ) from None


def give(function: str, addresses: list[int], device: int | None = None) -> None:
    """Give memory back, when all work of the device is done.

    Args:
        function: ``cudaFree`` or ``cudaFreeHost``.
        addresses: From :func:`take`.
        device: Number of the GPU that may use the memory; ``None`` where there is no other.

    Raises:
        CudaError: The work has failed.
    """
    with on(device), capturing:
        call("cudaDeviceSynchronize")
        for address in addresses:
            call(function, address)


def switch(device: int) -> int | None:
    """Let this thread's calls go to a GPU.

    Returns:
        Number of the GPU that they went to before, ``None`` if it is the same.

    Raises:
        CudaError: There is no such GPU.
    """
    before = int(call("cudaGetDevice"))
    if before == device:
        return None
    call("cudaSetDevice", device)
    return before


@contextmanager
def on(device: int | None) -> Iterator[None]:
    """Let this thread's calls go to a GPU for a while; to the current one with ``None``.

    Raises:
        CudaError: There is no such GPU.
    """
    before = None if device is None else switch(device)
    try:
        yield
    finally:
        if before is not None:
            call("cudaSetDevice", before)


def device_of(address: int) -> int | None:
    """Number of the GPU whose memory an address is in.

    Returns:
        ``None`` for memory that every GPU reaches, and for what CUDA does not know.

    Raises:
        CudaError: CUDA does not tell.
    """
    told = call("cudaPointerGetAttributes", address)
    if told.type != runtime().cudaMemoryType.cudaMemoryTypeDevice:
        return None
    return int(told.device)


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
