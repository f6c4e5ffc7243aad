"""Bits as TensorRT computes them: by the operators' decompositions, for it has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import computed

from fwd_core.ir import ops

#: On the host TensorRT computes int32 in 64 bits, so what wraps there cannot be read.
A = {
    "int64": [0x7FFF_FFFF_FFFF, -1, -(2**40) + 5, 12345],
    "int32": [2**31 - 1, 1, 2**30, 12345],
    "int8": [127, -1, -128, 5],
    "uint8": [255, 128, 1, 90],
}
B = {
    "int64": [-(2**62), 2**41 + 3, 2**40 - 1, 511],
    "int32": [2**30, 2**30 + 3, 2**31 - 1, 511],
    "int8": [-64, 3, -128, 126],
    "uint8": [255, 130, 254, 60],
}


@pytest.mark.parametrize("dtype", A)
@pytest.mark.parametrize(
    ("operator", "function"),
    [(ops.BitAnd, np.bitwise_and), (ops.BitOr, np.bitwise_or), (ops.BitXor, np.bitwise_xor)],
)
def test_bits(operator: Any, function: Any, dtype: str) -> None:
    a, b = np.array(A[dtype], dtype), np.array(B[dtype], dtype)
    bound = 2**38 if dtype == "int64" else None  # the reader's own limit
    if bound:
        a, b = a % bound, b % bound
    np.testing.assert_array_equal(computed(operator, a, b), function(a, b))
    mask = np.array(7, dtype)

    np.testing.assert_array_equal(computed(operator, a, mask), function(a, mask))


@pytest.mark.parametrize("dtype", A)
def test_shifts(dtype: str) -> None:
    a = np.array(A[dtype], dtype)
    if dtype in ("int64", "int32"):
        a = a % 2**25
    count = a.dtype.itemsize * 8
    places = np.array([0, 1, 3, 5], dtype)
    np.testing.assert_array_equal(computed(ops.ShiftLeft, a, places), np.left_shift(a, places))
    np.testing.assert_array_equal(computed(ops.ShiftRight, a, places), np.right_shift(a, places))
    beyond = np.array(count, dtype)
    np.testing.assert_array_equal(computed(ops.ShiftLeft, a, beyond), np.zeros_like(a))
    np.testing.assert_array_equal(computed(ops.ShiftRight, a, beyond), -(a < 0).astype(dtype))
