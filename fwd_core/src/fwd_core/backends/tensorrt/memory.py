"""How much scratch memory layers may take on the GPU."""

from __future__ import annotations

from fwd_core.backends.tensorrt.runtime import cuda

#: What is left for weights, activations and other processes, as a part of what is free.
_MARGIN = 10


def fitting() -> int:
    """Bytes of scratch memory that fit the GPU at hand now.

    TensorRT's own default is all memory that the GPU has, which tries kernels that can then not
    run where something else is on the GPU.

    Raises:
        CudaError: The GPU does not tell.
    """
    free, _total = cuda.call("cudaMemGetInfo")
    return within(int(free))


def within(free: int) -> int:
    """The part of free memory that layers may take.

    In whole GiB, or MiB where there is less: builds that find nearly as much free choose among the
    same kernels, and so from what a timing cache holds.
    """
    part = free - free // _MARGIN
    unit = 30 if part >> 30 else 20
    return max(part >> unit, 1) << unit
