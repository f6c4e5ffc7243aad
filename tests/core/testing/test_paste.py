"""Expressions that make arrays and calls again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.ir import DType, Tensor
from fwd_core.testing import strategies as fwd
from fwd_core.testing.compare import EXACT, as_tensor, assert_equal
from fwd_core.testing.paste import call_text, expression, unpack

NAMES = {"np": np, "Tensor": Tensor, "DType": DType, "unpack": unpack}


@given(st.data())
def test_arrays_come_back(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes())
    array = data.draw(fwd.arrays(dtype, data.draw(fwd.shapes(max_size=4))))
    text = expression(array)
    assert "\n" not in text
    back = eval(text, dict(NAMES))  # noqa: S307 - the text is our own
    assert type(back) is type(array)
    assert_equal(back, array, tolerance=EXACT)
    assert as_tensor(back).digest == as_tensor(array).digest


SPELLED: dict[str, tuple[Any, str]] = {
    "small": (np.array([1, 2], np.int32), "np.array([1, 2], 'int32')"),
    "not finite": (
        np.array([np.nan, -np.inf], np.float32),
        "np.array([np.nan, -np.inf], 'float32')",
    ),
    "no elements": (np.zeros((0, 2), np.bool_), "np.zeros((0, 2), 'bool')"),
    "bfloat16": (
        Tensor(np.array([16256], np.uint16), DType.BFLOAT16),
        "Tensor(np.array([16256], 'uint16'), DType.BFLOAT16)",
    ),
    "nested": ([(1,), {"a": "b"}], "[(1,), {'a': 'b'}]"),
    "many lines": (type("Model", (), {"__repr__": lambda self: "a\nb"})(), "<Model>"),
}


@pytest.mark.parametrize(("value", "text"), SPELLED.values(), ids=SPELLED)
def test_spelled(value: Any, text: str) -> None:
    assert expression(value) == text


def test_large_arrays_are_packed() -> None:
    array = np.arange(100, dtype=np.float32)
    text = expression(array)
    assert text.startswith("unpack(")
    assert len(text) < 400


def test_calls() -> None:
    text = call_text("f", np.array(1), None, mode="x", left=None, right=(2,))
    assert text == "f(np.array(1, 'int64'), None, mode='x', right=(2,))"
