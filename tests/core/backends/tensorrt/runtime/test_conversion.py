"""Between a caller's arrays and the types that an engine binds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fwd_core.backends import Port
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.runtime.conversion import fill, result
from fwd_core.backends.tensorrt.types import HELD, binding_type
from fwd_core.errors import InputError
from fwd_core.ir import DType, Tensor, TensorType

EIGHT, RTX = ROWS["tensorrt", "8.6.0"], ROWS["tensorrt_rtx", "1.7.1.116"]


def _port(dtype: DType) -> Port:
    return Port("x", TensorType(dtype, (3,)))


def _through(array: Any, dtype: DType, held: DType) -> Any:
    target = np.empty(array.shape, held.storage)
    fill(target, array, _port(dtype), held)
    return result(target, _port(dtype), held)


@pytest.mark.parametrize("features", [EIGHT, RTX], ids=["8", "rtx"])
@pytest.mark.parametrize("dtype", DType, ids=str)
def test_every_type_goes_through_its_binding_and_back(dtype: DType, features: Any) -> None:
    array = Tensor(np.array([0, 1, 100])).astype(dtype).data
    held = HELD[binding_type(dtype, features)]
    back = _through(array, dtype, held)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_results_are_the_callers_to_keep() -> None:
    for dtype, held in ((DType.FLOAT32, DType.FLOAT32), (DType.INT64, DType.INT32)):
        buffer = np.zeros(3, held.storage)
        array = result(buffer, _port(dtype), held)
        buffer[:] = 7
        np.testing.assert_array_equal(array, [0, 0, 0])


def test_integers_that_do_not_fit_are_refused_by_name() -> None:
    message = r"input 'x' has integers that do not fit int32(.|\n)*got: +-1 … 1099511627776"
    with pytest.raises(InputError, match=message):
        _through(np.array([-1, 2**40]), DType.INT64, DType.INT32)


def test_empty_arrays_fit() -> None:
    assert _through(np.empty(0, np.int64), DType.INT64, DType.INT32).shape == (0,)


def test_float64_rounds_to_float32() -> None:
    found = _through(np.array([1 / 3]), DType.FLOAT64, DType.FLOAT32)
    assert found[0] == np.float32(1 / 3)
