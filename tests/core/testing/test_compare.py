"""Comparing results: what is told first, and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fwd_core.errors import ForwardError, OptionError
from fwd_core.ir import DType, Tensor
from fwd_core.testing import EXACT, ParityError, Tolerance, assert_equal
from fwd_core.testing.compare import DEFAULTS, tolerance_for

X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
WIDE = Tolerance(0.1, 0.01, reason="for the test")


def bfloat16(*numbers: float) -> Tensor:
    return Tensor(np.array(numbers, np.float32)).astype(DType.BFLOAT16)


EQUAL: dict[str, tuple[Any, Any]] = {
    "one array": (X, X.copy()),
    "within the default": (X, X * np.float32(1 + 1e-6)),
    "nested": ([X, {"a": (X,)}], [X, {"a": (X,)}]),
    "with nothing": ((None, X), (None, X)),
    "NaN and infinities": (
        np.array([np.nan, np.inf, -np.inf], np.float32),
        np.array([np.nan, np.inf, -np.inf], np.float32),
    ),
    "0-d": (np.float32(2), np.array(2, np.float32)),
    "no elements": (np.zeros((0, 3), np.int64), np.zeros((0, 3), np.int64)),
    "bool": (np.array([True, False]), np.array([True, False])),
    "bfloat16": (bfloat16(1, 2), bfloat16(1, 2.0078125)),
}


@pytest.mark.parametrize(("got", "expected"), EQUAL.values(), ids=EQUAL)
def test_equal(got: Any, expected: Any) -> None:
    assert_equal(got, expected)


DIFFERENT: dict[str, tuple[Any, Any, str]] = {
    "count": ([X], [X, X], "the number of outputs differs\n  expected: 2\n  got:      1"),
    "structure": (
        (X,),
        [X],
        "the outputs are nested otherwise\n  expected: [tensor]\n  got:      (tensor,)",
    ),
    "keys": ({"a": X}, {"b": X}, "nested otherwise\n  expected: {'b': tensor}"),
    "dtype": (
        X.astype(np.float64),
        X,
        "output 'output': the dtype differs\n  expected: float32[2, 2]\n  got:      float64[2, 2]",
    ),
    "dtype that NumPy lacks": (
        bfloat16(1).data.astype(np.float16),
        bfloat16(1),
        "the dtype differs\n  expected: bfloat16[1]",
    ),
    "shape": (
        (X, X.T[:1]),
        (X, X),
        "'output_1': the shape differs\n  expected: float32[2, 2]\n  got:      float32[1, 2]",
    ),
    "no axis": (X[0, 0], X[0, :1], "expected: float32[1]\n  got:      float32[]"),
    "values": (
        X + np.array([[0, 0], [0.5, 0]], np.float32),
        X,
        "output 'output': values differ\n  expected: 3.0 at [1, 0] of float32[2, 2]\n"
        "  got:      3.5\n"
        "  1 of 4 elements differ by more than rtol=1e-05, atol=1e-06 (a few dozen roundings of "
        "float32, in another order)\n"
        "  greatest difference 0.5",
    ),
    "a number of no axes": (np.float32(1), np.float32(2), "expected: 2.0 of float32[]\n"),
    "NaN": (X * np.nan, X, "got:      nan\n  4 of 4 elements"),
    "infinity": (X, X + np.inf, "expected: inf at [0, 0]"),
    "opposite infinities": (X - np.inf, X + np.inf, "4 of 4 elements"),
    "integers one apart": (np.array([7, 8]), np.array([7, 9]), "greatest difference 1"),
    "integers far apart": (
        np.array([2**62]),
        np.array([-(2**62)]),
        "greatest difference 9.22e+18",
    ),
    "bool": (np.array([True]), np.array([False]), "expected: False at [0]"),
    "bfloat16": (bfloat16(1), bfloat16(2), "expected: 2.0 at [0] of bfloat16[1]\n  got:      1.0"),
}  # fmt: skip


@pytest.mark.parametrize(("got", "expected", "text"), DIFFERENT.values(), ids=DIFFERENT)
def test_different(got: Any, expected: Any, text: str) -> None:
    with pytest.raises(ParityError) as caught:
        assert_equal(got, expected)
    assert text in str(caught.value)


def test_dtypes_that_nothing_has() -> None:
    with pytest.raises(
        OptionError, match=r"outputs cannot be compared: no element type 'complex64'"
    ):
        assert_equal(X, X.astype(np.complex64))


def test_failures_are_assertions_and_errors_of_forward() -> None:
    assert issubclass(ParityError, AssertionError)
    assert issubclass(ParityError, ForwardError)


def test_the_worst_element_is_shown() -> None:
    got = X + np.array([[0, 0.3], [0, -0.4]], np.float32)
    with pytest.raises(ParityError, match=r"expected: 2.0 at \[0, 1\]"):
        assert_equal(got, X, tolerance=WIDE)


def test_names_and_call() -> None:
    with pytest.raises(
        ParityError, match=r"(?s)output 'logits': .*Hint: to see it again: check\(1\)"
    ):
        assert_equal((X,), (X + 1,), names=["logits"], call="check(1)")


def test_given_tolerances() -> None:
    assert_equal(X * np.float32(1.05), X, tolerance=WIDE)
    assert_equal(X * np.float32(1.05), X, tolerance={DType.FLOAT32: WIDE})
    with pytest.raises(ParityError):
        assert_equal(X * np.float32(1.05), X, tolerance={DType.FLOAT16: WIDE})
    with pytest.raises(ParityError, match="nothing is rounded"):
        assert_equal(X * np.float32(1 + 1e-6), X, tolerance=EXACT)
    with pytest.raises(ParityError):
        assert_equal(np.array([100]), np.array([101]), tolerance=WIDE)


def test_tolerances_by_dtype_and_mode() -> None:
    assert tolerance_for(DType.INT64, "float32", WIDE) is EXACT
    assert tolerance_for(DType.FLOAT32, "float32") is DEFAULTS[DType.FLOAT32]
    assert tolerance_for(DType.FLOAT16, "float32") is DEFAULTS[DType.FLOAT16]
    assert tolerance_for(DType.FLOAT32, "float16") is DEFAULTS[DType.BFLOAT16]
    assert tolerance_for(DType.FLOAT32, "float16", WIDE) is WIDE


BAD: dict[str, tuple[float, float, str, str]] = {
    "negative rtol": (-1, 0, "why", "two parts that are 0 or more"),
    "negative atol": (0, -1, "why", "two parts that are 0 or more"),
    "NaN": (float("nan"), 0, "why", "two parts that are 0 or more"),
    "no reason": (0, 0, " ", "a tolerance needs a reason"),
}


@pytest.mark.parametrize(("rtol", "atol", "reason", "text"), BAD.values(), ids=BAD)
def test_bad_tolerances(rtol: float, atol: float, reason: str, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Tolerance(rtol, atol, reason=reason)
