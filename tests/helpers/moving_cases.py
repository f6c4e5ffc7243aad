"""What parity tests of operators that only move elements share: results are exactly equal."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from parity_cases import ANY, check, operand

from fwd_core.testing import EXACT

DTYPES = ANY[:1] + ANY  # float32 most often


def array(data: st.DataObject, shape: tuple[int, ...], name: str = "x") -> Any:
    return operand(data, name, DTYPES, shape)


def moved(data: st.DataObject, call: str, x: Any, **more: Any) -> None:
    batch = more.pop("batch", ["x"])
    check(data, call, x=x, batch=batch, tolerance=EXACT, may_raise=True, **more)


def divided(data: st.DataObject, count: int, most: int = 4) -> list[int]:
    """Sizes whose product is ``count``."""
    sizes, rest = [], count
    for _ in range(data.draw(st.integers(0, most - 1), label="axes")):
        divisors = [d for d in range(1, max(rest, 1) + 1) if rest % d == 0]
        sizes.append(data.draw(st.sampled_from(divisors)))
        rest //= sizes[-1]
    sizes.append(rest)
    return data.draw(st.permutations(sizes), label="sizes")


def count_of(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
