"""Capsules that are lent and taken, with NumPy on the other side."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import late_borrowers
import numpy as np
import pytest
from host_memory import Lender

from fwd_core.engine import dlpack
from fwd_core.ir import DType

WITH_NUMPY = [dtype for dtype in DType if dtype is not DType.BFLOAT16]


class Owner:
    """Something whose end can be watched."""


class _Given:
    """Hands out a capsule that is there."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_options: Any) -> Any:
        return self.__dict__.pop("capsule")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (dlpack.CPU, 0)


def _lent(array: Any, owner: Any = None, dtype: DType | None = None) -> Any:
    kind = dtype or DType.of(array.dtype)
    return dlpack.lend(owner, array.ctypes.data, array.shape, kind, (dlpack.CPU, 0))


@pytest.mark.parametrize("dtype", WITH_NUMPY, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0, 3)], ids=str)
def test_numpy_takes_what_is_lent(dtype: DType, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype.storage)
    found = np.from_dlpack(Lender(array))
    assert (found.dtype, found.shape) == (array.dtype, shape)
    np.testing.assert_array_equal(found, array)
    if array.size:
        assert found.ctypes.data == array.ctypes.data


@pytest.mark.parametrize("dtype", WITH_NUMPY, ids=str)
def test_what_numpy_lends_is_taken(dtype: DType) -> None:
    array = np.zeros((2, 3), dtype.storage)
    found = dlpack.take(array.__dlpack__())
    assert (found.address, found.shape, found.dtype) == (array.ctypes.data, (2, 3), dtype)
    assert found.device == (dlpack.CPU, 0)
    assert dlpack.is_contiguous(found.shape, found.strides)


@pytest.mark.parametrize("dtype", DType, ids=str)
def test_what_is_lent_is_taken_again(dtype: DType) -> None:
    array = np.zeros((2, 3), dtype.storage)
    found = dlpack.take(
        dlpack.lend(array, array.ctypes.data, (2, 3), dtype, (dlpack.CUDA_MANAGED, 4))
    )
    assert (found.address, found.shape, found.dtype) == (array.ctypes.data, (2, 3), dtype)
    assert dlpack.is_contiguous(found.shape, found.strides)
    assert found.device == (dlpack.CUDA_MANAGED, 4)


def test_a_type_that_forward_has_not() -> None:
    assert dlpack.take(np.zeros(2, np.complex64).__dlpack__()).dtype is None
    assert dlpack.take(np.zeros(2, np.uint32).__dlpack__()).dtype is None


def test_strides_and_offsets_of_views() -> None:
    array = np.arange(24, dtype=np.int16).reshape(4, 6)
    found = dlpack.take(array[1::2, 2:].T.__dlpack__())
    assert (found.shape, found.strides) == ((4, 2), (1, 12))
    assert found.address == array[1:, 2:].ctypes.data
    assert not dlpack.is_contiguous(found.shape, found.strides)


@pytest.mark.parametrize(
    ("shape", "strides", "wanted"),
    [
        ((2, 3), None, True),
        ((2, 3), (3, 1), True),
        ((2, 3), (1, 2), False),
        ((2, 3), (4, 1), False),
        ((3,), (2,), False),
        ((3,), (-1,), False),
        ((3,), (0,), False),
        ((1, 3), (99, 1), True),
        ((3, 1), (1, 99), True),
        ((2, 1, 3), (3, 0, 1), True),
        ((0, 3), (7, 7), True),
        ((), (), True),
    ],
)
def test_contiguous(shape: tuple[int, ...], strides: Any, wanted: bool) -> None:
    assert dlpack.is_contiguous(shape, strides) is wanted


def test_the_owner_lives_as_long_as_the_borrower() -> None:
    array, owner = np.zeros(3), Owner()
    alive = weakref.ref(owner)
    speaks = _Given(_lent(array, owner))
    del owner
    found = np.from_dlpack(speaks)
    view = found[1:]
    del speaks, found
    gc.collect()
    assert alive() is not None
    del view
    gc.collect()
    assert alive() is None


def test_a_capsule_that_nobody_takes_lets_go() -> None:
    array, owner = np.zeros(3), Owner()
    alive = weakref.ref(owner)
    capsule = _lent(array, owner)
    del owner
    gc.collect()
    assert alive() is not None
    del capsule
    assert alive() is None


def test_what_is_taken_is_held_until_the_last_reference() -> None:
    array, owner = np.zeros(3), Owner()
    alive = weakref.ref(owner)
    capsule = _lent(array, owner)
    found = dlpack.take(capsule)
    del owner, capsule
    held = found.held
    del found
    assert alive() is not None
    del held
    assert alive() is None


def test_numpy_gets_back_what_was_taken() -> None:
    array = np.zeros(3)
    before = sys.getrefcount(array)
    found = dlpack.take(array.__dlpack__())
    assert sys.getrefcount(array) == before + 1
    del found
    assert sys.getrefcount(array) == before


def test_nothing_stays_behind() -> None:
    owner = Owner()
    before = sys.getrefcount(owner)
    array = np.zeros(3)
    for _ in range(100):
        np.from_dlpack(_Given(_lent(array, owner)))
        dlpack.take(_lent(array, owner))
        _lent(array, owner)
    gc.collect()
    assert sys.getrefcount(owner) == before


def test_a_borrower_that_refuses_says_why() -> None:
    owner = Owner()
    alive = weakref.ref(owner)
    capsule = dlpack.lend(owner, np.zeros(3).ctypes.data, (3,), DType.FLOAT64, (dlpack.CUDA, 0))
    given = _Given(capsule)
    del owner, capsule
    with pytest.raises((BufferError, RuntimeError), match=r"[Uu]nsupported device"):
        np.from_dlpack(given)
    del given
    gc.collect()
    assert alive() is None


def test_a_capsule_is_taken_once() -> None:
    capsule = _lent(np.zeros(3))
    first = dlpack.take(capsule)
    message = "^this is no DLPack capsule, or it was taken before$"
    for other in (capsule, object(), None, 3):
        with pytest.raises(ValueError, match=message):
            dlpack.take(other)
    assert first.shape == (3,)


#: What outlives the module: in ``sys`` and ``builtins``, which Python clears last.
_AT_THE_END = """
here = np.from_dlpack(Lender())
sys.late = np.from_dlpack(Lender())
builtins.later = np.from_dlpack(Lender())
sys.untaken = Lender().__dlpack__()
print(here.sum() + sys.late.sum())
"""


def test_a_borrower_may_outlive_python() -> None:
    assert late_borrowers.run(_AT_THE_END) == (0, "12.0\n", "")
