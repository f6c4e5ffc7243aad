"""Element types."""

from __future__ import annotations

import numpy as np
import pytest

from fwd_core.ir.dtypes import DType


@pytest.mark.parametrize("dtype", list(DType))
def test_names_and_storage(dtype: DType) -> None:
    assert DType.of(str(dtype)) is dtype
    assert DType.of(dtype) is dtype
    assert repr(dtype) == str(dtype) == dtype.value
    assert dtype.itemsize == dtype.storage.itemsize
    if dtype is DType.BFLOAT16:
        assert dtype.storage == np.dtype("uint16")
    else:
        assert DType.of(dtype.storage) is dtype
        assert DType.of(dtype.storage.type) is dtype
        assert dtype.storage.name == str(dtype)


@pytest.mark.parametrize("dtype", list(DType))
def test_kinds_exclude_each_other(dtype: DType) -> None:
    assert [dtype.is_float, dtype.is_integer, dtype is DType.BOOL].count(True) == 1


@pytest.mark.parametrize("dtype", [d for d in DType if d not in (DType.BFLOAT16, DType.BOOL)])
def test_limits_are_those_of_numpy(dtype: DType) -> None:
    info = np.finfo(dtype.value) if dtype.is_float else np.iinfo(dtype.value)
    assert dtype.limits == (info.min, info.max)


def test_limits_that_numpy_does_not_know() -> None:
    assert DType.BOOL.limits == (0, 1)
    word = np.array([0x7F7F], np.uint32) << 16  # the greatest finite bfloat16
    assert DType.BFLOAT16.limits[1] == float(word.view(np.float32)[0])
    assert DType.BFLOAT16.limits[0] == -DType.BFLOAT16.limits[1]


@pytest.mark.parametrize("name", ["complex64", "float8", "", np.dtype("complex128"), np.uint64])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"no element type '.*' in Forward \(there are float64,"):
        DType.of(name)
