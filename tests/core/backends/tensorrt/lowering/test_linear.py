"""Matrix products, computed by TensorRT while it makes a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import computed

from fwd_core.ir import ops


def _numbers(*shape: int, dtype: str = "float32") -> Any:
    return (np.arange(np.prod(shape)) % 7 - 3).reshape(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "int8"])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
def test_products(transposed: tuple[bool, bool], dtype: str) -> None:
    a, b = _numbers(2, 3, dtype=dtype), _numbers(3, 4, dtype=dtype)
    operands = [x.T if flip else x for x, flip in zip((a, b), transposed, strict=True)]
    result = computed(lambda a, b: ops.MatMul(a, b, *transposed), *operands)
    np.testing.assert_array_equal(result, a @ b)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_leading_axes_broadcast(dtype: str) -> None:
    a, b = _numbers(2, 1, 2, 3, dtype=dtype), _numbers(2, 3, 2, dtype=dtype)
    np.testing.assert_array_equal(computed(ops.MatMul, a, b), a @ b)


def test_products_of_narrow_integers_wrap() -> None:
    a = np.full((1, 3), 100, np.int8)
    result = computed(ops.MatMul, a, a.T)
    np.testing.assert_array_equal(result, [[np.int64(30000).astype(np.int8)]])


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
def test_linear_multiplies_by_the_transposed_weight_and_adds(shape: tuple[int, ...]) -> None:
    x, weight, bias = _numbers(*shape), _numbers(4, 3), _numbers(4)
    np.testing.assert_array_equal(computed(ops.Linear, x, weight, bias), x @ weight.T + bias)
    np.testing.assert_array_equal(computed(ops.Linear, x, weight), x @ weight.T)
