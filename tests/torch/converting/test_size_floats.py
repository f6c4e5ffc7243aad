"""Floats of sizes: what they are rounded to is right for every size, or not said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from fwd_core.ir import DimExpr
from fwd_core.ir.dims import evaluate, symbol
from fwd_ops_torch.converting.size_floats import Rounding, SizeFloat

SIZE = symbol("size", 2, 8, 300)
HOW: dict[Rounding, Any] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": round,
}
NUMBERS = st.sampled_from([0.5, 1.5, 2, 0.7, 1 / 3, 1.1, -0.3, 3, 7.0])


@given(st.data())
def test_it_is_what_python_computes_or_nothing(data: st.DataObject) -> None:
    first, second = data.draw(NUMBERS), data.draw(NUMBERS)
    name, other = (data.draw(st.sampled_from(["add", "sub", "mul", "div"])) for _ in range(2))
    reverse = data.draw(st.booleans())
    how = data.draw(st.sampled_from(list(HOW)))
    held = SizeFloat(SIZE).combined(name, first, reverse=reverse)
    if name == "div" and reverse:
        assert held is None
        return
    assert held is not None
    held = held.combined(other, second)
    assert held is not None
    found = held.rounded(how)

    def python(size: int) -> int:
        operations = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}"}
        one = (repr(first), repr(float(size))) if reverse else (repr(float(size)), repr(first))
        inner = operations[name].format(*one)
        return HOW[how](eval(operations[other].format(f"({inner})", repr(second))))  # noqa: S307

    if found is None:
        return
    for size in (2, 3, 5, 8, 64, 99, 299, 300):
        value = evaluate(found, {"size": size}) if isinstance(found, DimExpr) else found
        assert value == python(size)


@pytest.mark.parametrize(
    ("ratio", "how", "text"), [(0.5, "trunc", "(size // 2)"), (1.5, "floor", "(3*size // 2)")]
)
def test_simple_ratios_are_found(ratio: float, how: Rounding, text: str) -> None:
    held = SizeFloat(SIZE).combined("mul", ratio)
    assert held is not None
    assert str(held.rounded(how)) == text


def test_what_has_no_expression() -> None:
    assert SizeFloat(SIZE).combined("div", 0) is None
    assert SizeFloat(SIZE).combined("div", 1e-9) is None
    assert SizeFloat(SIZE).combined("mul", math.inf) is None
    odd = SizeFloat(SIZE).combined("mul", 0.1234567)
    assert odd is not None
    assert odd.rounded("floor") is None
    wide = SizeFloat(symbol("wide", 1, 8, 1 << 20)).combined("mul", 0.5)
    assert wide is not None
    assert wide.rounded("floor") is None


def test_float32_rounds_otherwise() -> None:
    sizes = np.arange(2, 301)
    single = SizeFloat(SIZE, dtype=np.float32).combined("mul", 0.7)
    assert single is not None
    np.testing.assert_array_equal(
        single.compute(sizes.astype(np.float32)), sizes.astype(np.float32) * np.float32(0.7)
    )
