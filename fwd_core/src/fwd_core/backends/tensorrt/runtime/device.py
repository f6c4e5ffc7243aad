"""The GPU at hand."""

from __future__ import annotations

from dataclasses import dataclass

from fwd_core.backends.tensorrt.runtime import cuda


@dataclass(frozen=True)
class Gpu:
    """A GPU: its number, name and compute capability (as ``sm_89``)."""

    ordinal: int
    name: str
    capability: str

    def __str__(self) -> str:
        return f"{self.name} ({self.capability})"


def find() -> tuple[Gpu | None, str]:
    """The current GPU, or ``None`` and why there is none."""
    try:
        if cuda.call("cudaGetDeviceCount") == 0:
            return None, "there is no GPU"
        ordinal = cuda.call("cudaGetDevice")
        properties = cuda.call("cudaGetDeviceProperties", ordinal)
    except cuda.CudaError as error:
        if error.name == "cudaErrorNoDevice":
            return None, "there is no GPU"
        return None, f"no GPU can be used: {_reason(error)}"
    capability = f"sm_{properties.major}{properties.minor}"
    return Gpu(ordinal, properties.name.decode(), capability), ""


def _reason(error: cuda.CudaError) -> str:
    """Why CUDA finds no GPU. It calls the driver too old where there is none at all, too."""
    if error.name == "cudaErrorInsufficientDriver":
        has, needs = (cuda.call(f"cuda{which}GetVersion") for which in ("Driver", "Runtime"))
        if not has:
            return "there is no NVIDIA driver"
        return (
            f"the NVIDIA driver is too old: it takes CUDA up to {_version(has)}, and this is CUDA "
            f"{_version(needs)}; update it, or install a cuda-bindings as old ({error.name})"
        )
    return f"{'; '.join(error.details)} ({error.name})"


def _version(number: int) -> str:
    """CUDA's way to write ``13.5`` is 13050."""
    return f"{number // 1000}.{number % 1000 // 10}"
