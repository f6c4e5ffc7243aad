"""CUDA calls: each returns its values or raises with CUDA's own name of the error."""

from __future__ import annotations

import importlib
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
        _, known = library.cudaGetErrorName(status)
        _, text = library.cudaGetErrorString(status)
        raise CudaError(name, known.decode(), text.decode())
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def copy(destination: int, source: int, size: int, *, to_device: bool, stream: Any) -> None:
    """Copy bytes between host and device, in order with the other work of a stream."""
    kinds = runtime().cudaMemcpyKind
    kind = kinds.cudaMemcpyHostToDevice if to_device else kinds.cudaMemcpyDeviceToHost
    call("cudaMemcpyAsync", destination, source, size, kind, stream)
