"""What backends compute less exactly than a few roundings."""

from __future__ import annotations

import numpy as np
import pytest

from fwd_core.ir import DType, Tensor
from fwd_core.ir import ops as operators
from fwd_core.testing.approximations import (
    APPROXIMATIONS,
    approximated,
    beyond,
    uncompared,
    without,
)
from fwd_core.testing.compare import ParityError, Tolerance, assert_equal

FINE = Tolerance(1e-6, 1e-12, reason="exact")
COARSE = Tolerance(1e-2, 1e-2, reason="coarse")


def test_the_names_are_operators() -> None:
    known = {f"fwd.{name}" for name, value in vars(operators).items() if isinstance(value, type)}
    for table in APPROXIMATIONS.values():
        assert set(table) <= known


def test_a_tolerance_is_widened_for_what_the_graph_holds() -> None:
    given = {DType.FLOAT32: FINE, DType.FLOAT16: COARSE}
    widened = approximated(given, "tensorrt", ["fwd.Add", "fwd.Sin"])
    assert (widened[DType.FLOAT32].rtol, widened[DType.FLOAT32].atol) == (1e-6, 5e-7)
    assert widened[DType.FLOAT32].reason.startswith("exact; the GPU's own sine")
    assert widened[DType.FLOAT16] is COARSE
    assert approximated(given, "tensorrt", ["fwd.Add"]) == given
    assert approximated(given, "openvino", ["fwd.Sin"]) == given


def test_several_operators_widen_together() -> None:
    both = approximated({DType.FLOAT32: FINE}, "tensorrt", ["fwd.Tanh", "fwd.Tan"])[DType.FLOAT32]
    assert both.rtol == 3e-5
    assert both.atol == 1.2e-5


def test_angles_beyond_what_a_backend_computes_are_not_compared() -> None:
    x = Tensor(np.array([1.0, 1e30, -2e5, np.inf, np.nan], np.float32))
    places = beyond("tensorrt", ["fwd.Sin"], [x], (5,))
    assert places.tolist() == [False, True, True, False, False]
    assert not beyond("tensorrt", ["fwd.Exp"], [x], (5,)).any()
    assert not beyond("openvino", ["fwd.Sin"], [x], (5,)).any()
    assert not beyond("tensorrt", ["fwd.Sin"], [x], (1, 5)).any()
    whole = Tensor(np.full(5, 2**30, np.int32))
    assert not beyond("tensorrt", ["fwd.Sin"], [whole], (5,)).any()
    expected = Tensor(np.array([0.84147098, -0.5, 0.25, np.nan, np.nan], np.float32))
    got = np.array([0.84147098, 0.0, 0.0, np.nan, np.nan], np.float32)
    assert_equal((got,), (without(expected, got, places),))
    got[0] = 0.9
    with pytest.raises(ParityError, match="1 of 5 elements differ"):
        assert_equal((got,), (without(expected, got, places),))


def test_what_is_of_another_type_is_compared_as_it_is() -> None:
    expected = Tensor(np.array([1.0, 2.0], np.float32))
    everywhere = np.ones(2, np.bool_)
    assert without(expected, np.zeros(2, np.float16), everywhere) is expected
    assert without(expected, np.zeros(3, np.float32), everywhere) is expected


def test_infinities_of_gelu_are_not_compared() -> None:
    x = Tensor(np.array([1.0, np.inf, -np.inf, np.nan], np.float32))
    places = beyond("tensorrt", ["fwd.Gelu"], [x], (4,))
    np.testing.assert_array_equal(places, [False, True, True, False])
    assert not beyond("tensorrt", ["fwd.Relu"], [x], (4,)).any()


def test_half_compares_what_float16_holds() -> None:
    x = Tensor(np.array([1.0, 1e30, -1e-30, 0.0, np.inf, np.nan, 12.0], np.float32))
    places = beyond("tensorrt", ["fwd.Relu"], [x], (7,), "float16")
    np.testing.assert_array_equal(places, [False, True, True, False, False, False, False])
    places = beyond("tensorrt", ["fwd.Exp"], [x], (7,), "float16")
    np.testing.assert_array_equal(places, [False, True, True, False, True, False, True])
    assert not beyond("tensorrt", ["fwd.Exp"], [x], (7,)).any()
    assert not beyond("openvino", ["fwd.Exp"], [x], (7,), "float16").any()


def test_half_compares_no_results_that_float16_does_not_reach() -> None:
    x = Tensor(np.ones(4, np.float32))
    expected = Tensor(np.array([1e5, 2.0, 1e-6, np.inf], np.float32))
    places = uncompared("tensorrt", ["fwd.Mul"], [x], expected, "float16")
    np.testing.assert_array_equal(places, [True, False, False, False])
    assert not uncompared("tensorrt", ["fwd.Mul"], [x], expected, "float32").any()
    assert not uncompared("openvino", ["fwd.Mul"], [x], expected, "float16").any()
