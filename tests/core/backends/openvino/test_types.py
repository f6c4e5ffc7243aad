"""Element types and shared memory."""

from __future__ import annotations

import gc
import mmap
import tempfile
import weakref

import numpy as np
import pytest

from fwd_core.backends.openvino.types import computed, element_type, shared, writable
from fwd_core.ir import DType

pytest.importorskip("openvino")


@pytest.mark.parametrize("dtype", list(DType))
def test_element_type(dtype: DType) -> None:
    bits = 8 if dtype is DType.BOOL else 8 * dtype.itemsize
    assert element_type(dtype).get_bitwidth() == bits
    assert element_type(dtype).is_real() == dtype.is_float


def test_computed() -> None:
    kinds = {computed(dtype) for dtype in DType}
    assert kinds == {DType.FLOAT32, DType.INT32, DType.BOOL}
    assert all(computed(dtype).is_float == dtype.is_float for dtype in DType)


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array(3.0, np.float32),
    np.empty((0, 3), np.int64),
    np.array([True, False]),
    np.arange(3, dtype=np.float16),
]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_shared_tensors_point_at_the_array(array: np.ndarray, read_only: bool) -> None:
    array = array.copy()
    array.flags.writeable = not read_only
    tensor = shared(array, DType.of(array.dtype))
    assert list(tensor.get_shape()) == list(array.shape)
    assert tensor.get_element_type() == element_type(DType.of(array.dtype))
    assert tensor.data.ctypes.data == array.ctypes.data
    assert array.flags.writeable is not read_only


@pytest.mark.parametrize("shape", [(), (2, 2), (0,)])
def test_bfloat16_words_are_shared(shape: tuple[int, ...]) -> None:
    words = np.full(shape, 0x3F80, np.uint16)
    tensor = shared(words, DType.BFLOAT16)
    assert tensor.get_element_type() == element_type(DType.BFLOAT16)
    assert list(tensor.get_shape()) == list(shape)
    if words.size:
        assert tensor.data.ctypes.data == words.ctypes.data


def test_writable_view_keeps_a_mapped_file() -> None:
    with tempfile.TemporaryFile() as stream:
        stream.write(bytes(range(64)))
        stream.flush()
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        array = np.frombuffer(mapped, np.uint8)
    view = writable(array)
    gone = weakref.ref(array)
    del array, mapped
    gc.collect()
    assert gone() is not None
    np.testing.assert_array_equal(view, np.arange(64))
    del view
    gc.collect()
    assert gone() is None


def test_writable_arrays_stay_themselves() -> None:
    array = np.zeros(3)
    assert writable(array) is array
