from __future__ import annotations

import pytest

from fwd_core.backends.tensorrt import memory
from fwd_core.backends.tensorrt.runtime import cuda, device


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (80 << 30, 72 << 30),
        ((80 << 30) - (100 << 20), 71 << 30),
        (1 << 30, 921 << 20),
        (10 << 20, 9 << 20),
        (1 << 20, 1 << 20),
        (0, 1 << 20),
    ],
)
def test_a_tenth_is_left(free: int, expected: int) -> None:
    assert memory.within(free) == expected


@pytest.mark.skipif(device.find()[0] is not None, reason="a GPU tells its memory")
def test_without_a_gpu_there_is_no_memory_to_fit() -> None:
    with pytest.raises(cuda.CudaError, match=r"cudaMemGetInfo failed|import cuda\.bindings"):
        memory.fitting()
