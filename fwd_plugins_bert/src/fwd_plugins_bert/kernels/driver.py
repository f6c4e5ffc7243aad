"""Kernels on the GPU, by the driver's own calls: loaded once for each context, and launched."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

from fwd_plugins_bert.kernels.compiling import KernelError

#: Blocks of one launch.
MOST_BLOCKS = 2**31 - 1
_LOADED: dict[tuple[int, Any], Any] = {}
_loading = threading.Lock()


def call(name: str, *args: Any) -> Any:
    """Call a function of the driver: nothing, one value, or a tuple of several.

    Raises:
        KernelError: It fails, with CUDA's name of the error, or ``cuda-bindings`` is missing.
    """
    library = _library()
    try:
        status, *values = getattr(library, name)(*args)
    except RuntimeError as error:  # how the bindings say that there is no driver
        raise KernelError(f"{name} failed: no CUDA driver", details=[str(error)]) from None
    if status != library.CUresult.CUDA_SUCCESS:
        _, known = library.cuGetErrorName(status)
        _, text = library.cuGetErrorString(status)
        raise KernelError(
            f"{name} failed: {known.decode() if known else status}",
            details=[text.decode()] if text else [],
        )
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def capability() -> str:
    """Compute capability of the GPU whose context is current, as ``sm_90``.

    Raises:
        KernelError: No context is current.
    """
    device = call("cuCtxGetDevice")
    names = _library().CUdevice_attribute
    major, minor = (
        call("cuDeviceGetAttribute", name, device)
        for name in (
            names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    return f"sm_{major}{minor}"


def function(key: Any, name: str, compile_for: Callable[[str], bytes]) -> Any:
    """A kernel in the current context, compiled and loaded at the first call.

    Args:
        key: Of the code, to find it again.
        name: Of the kernel.
        compile_for: Makes the code for a compute capability.

    Raises:
        KernelError: No context is current, or the code cannot be made or loaded.
    """
    # Not the handle of the context, which another one may get after it.
    context = int(call("cuCtxGetId", call("cuCtxGetCurrent")))
    found = _LOADED.get((context, key))
    if found is not None:
        return found
    with _loading:
        if (context, key) not in _LOADED:
            module = call("cuModuleLoadData", compile_for(capability()))
            _LOADED[context, key] = call("cuModuleGetFunction", module, name.encode())
        return _LOADED[context, key]


def launch(
    kernel: Any, blocks: int, threads: int, arguments: Sequence[Any], stream: int = 0
) -> None:
    """Queue a kernel on a stream.

    Args:
        kernel: From :func:`function`.
        blocks: At most :data:`MOST_BLOCKS`.
        threads: Of a block.
        arguments: Values of :mod:`ctypes`, in the order of the kernel's parameters.
        stream: Its handle.

    Raises:
        KernelError: The driver refuses.
    """
    pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
    # The driver copies the arguments before it returns.
    where = ctypes.addressof(pointers)
    call("cuLaunchKernel", kernel, blocks, 1, 1, threads, 1, 1, 0, stream, where, 0)


@lru_cache(maxsize=None)
def _library() -> ModuleType:
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        raise KernelError(
            "cuda-bindings, which launches kernels, cannot be imported",
            details=[str(error)],
            hint="pip install cuda-bindings",
        ) from None
