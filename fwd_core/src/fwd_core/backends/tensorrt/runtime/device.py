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
        return None, f"no GPU can be used: {'; '.join(error.details)} ({error.name})"
    capability = f"sm_{properties.major}{properties.minor}"
    return Gpu(ordinal, properties.name.decode(), capability), ""
