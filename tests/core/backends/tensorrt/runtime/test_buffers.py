from __future__ import annotations

import numpy as np
import pytest

from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_core.backends.tensorrt.runtime.buffers import DeviceBuffer, PinnedBuffer, view


@pytest.mark.parametrize("shape", [(), (2, 3), (0, 3)])
def test_memory_is_seen_as_an_array(shape: tuple[int, ...]) -> None:
    owner = np.arange(12, dtype=np.int16)
    array = view(owner.ctypes.data, shape, np.dtype(np.int16))
    assert array.shape == shape
    np.testing.assert_array_equal(array.ravel(), owner[: array.size])
    array[...] = 7
    assert (owner[: array.size] == 7).all()


@pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")
@pytest.mark.parametrize("take", [lambda: DeviceBuffer().reserve(16), lambda: _pinned()])
def test_no_memory_without_a_gpu(take: object) -> None:
    pytest.importorskip("cuda.bindings")
    with pytest.raises(cuda.CudaError, match="cudaMalloc"):
        take()  # type: ignore[operator]


def _pinned() -> object:
    return PinnedBuffer().array((2,), np.dtype(np.float32))


def test_a_buffer_without_memory_is_freed_without_a_call() -> None:
    buffer = DeviceBuffer()
    buffer.free()
    assert buffer.address == 0
