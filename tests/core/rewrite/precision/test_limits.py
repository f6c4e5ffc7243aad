from __future__ import annotations

import numpy as np
import pytest

from fwd_core.ir import DType, Tensor
from fwd_core.rewrite.precision.limits import clamped, clamped_number, exceeds, vanishes

HALF = DType.FLOAT16


def _tensor(*numbers: float) -> Tensor:
    return Tensor(np.array(numbers, np.float32))


def test_finite_numbers_stay_finite_and_infinities_infinite() -> None:
    held = clamped(_tensor(1e9, -1e9, np.inf, -np.inf, 1.5), HALF)
    np.testing.assert_array_equal(held.data, np.array([65504, -65504, np.inf, -np.inf, 1.5]))
    assert held.dtype is HALF


def test_nan_stays_nan() -> None:
    assert np.isnan(clamped(_tensor(np.nan, 1e9), HALF).data[0])


def test_float64_is_clamped_to_float32() -> None:
    wide = Tensor(np.array([-1.7e308, 2.0]))
    assert clamped(wide, DType.FLOAT32).data[0] == np.finfo(np.float32).min


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1.0, -65504.0), False),
        ((65505.0,), True),
        ((-np.inf,), False),
        ((-np.inf, 1e9), True),
        ((), False),
    ],
)
def test_what_exceeds(numbers: tuple[float, ...], expected: bool) -> None:
    assert exceeds(_tensor(*numbers), HALF) is expected


@pytest.mark.parametrize(
    ("number", "expected"), [(1e9, 65504), (-1e9, -65504), (-np.inf, -np.inf), (3.0, 3.0)]
)
def test_numbers(number: float, expected: float) -> None:
    assert clamped_number(number, HALF) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((1e-12,), True), ((0.0,), False), ((1e-7,), False), ((1e-12,) * 2, False)],
)
def test_what_vanishes(numbers: tuple[float, ...], expected: bool) -> None:
    assert vanishes(_tensor(*numbers), HALF) is expected
