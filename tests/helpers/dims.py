"""Strategies for sizes, each drawn together with a Python function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from fwd_core.ir.dims import Dim, maximum, minimum, symbol

Values = Mapping[str, int]

#: Small ranges, so that facts can be checked at every point.
SYMBOLS = {
    "batch": symbol("batch", 1, 2, 4),
    "h": symbol("h", 3, 5, 7),
    "zero": symbol("zero", 0, 1, 2),
}
RANGES = {"batch": range(1, 5), "h": range(3, 8), "zero": range(3)}
#: A range too large to try: facts about it come from bounds or sympy.
WIDE = {"w": symbol("w", 1, 500, 100_000), "v": symbol("v", 2, 700, 90_000)}


@dataclass(frozen=True)
class Drawn:
    """A size, and what Python's integers say it is."""

    dim: Dim
    of: Callable[[Values], int]

    def __repr__(self) -> str:
        return repr(self.dim)


def _leaves(symbols: Mapping[str, Dim]) -> st.SearchStrategy[Drawn]:
    integers = st.integers(-3, 12).map(lambda n: Drawn(n, lambda _values: n))
    named = st.sampled_from(sorted(symbols)).map(
        lambda name: Drawn(symbols[name], lambda values: values[name])
    )
    return integers | named


def _sum(a: Drawn, b: Drawn) -> Drawn:
    return Drawn(a.dim + b.dim, lambda values: a.of(values) + b.of(values))


def _difference(a: Drawn, b: Drawn) -> Drawn:
    return Drawn(a.dim - b.dim, lambda values: a.of(values) - b.of(values))


def _product(a: Drawn, b: Drawn) -> Drawn:
    return Drawn(a.dim * b.dim, lambda values: a.of(values) * b.of(values))


def _minimum(a: Drawn, b: Drawn) -> Drawn:
    return Drawn(minimum(a.dim, b.dim), lambda values: min(a.of(values), b.of(values)))


def _maximum(a: Drawn, b: Drawn) -> Drawn:
    return Drawn(maximum(a.dim, b.dim), lambda values: max(a.of(values), b.of(values)))


def _quotient(a: Drawn, b: Drawn) -> Drawn:
    if b.dim == 0:
        return a
    return Drawn(a.dim // b.dim, lambda values: a.of(values) // b.of(values))


def _remainder(a: Drawn, b: Drawn) -> Drawn:
    if b.dim == 0:
        return a
    return Drawn(a.dim % b.dim, lambda values: a.of(values) % b.of(values))


_OPERATIONS: list[Callable[[Drawn, Drawn], Drawn]] = [
    _sum,
    _difference,
    _product,
    _minimum,
    _maximum,
    _quotient,
    _remainder,
]


def sizes(symbols: Mapping[str, Dim] = SYMBOLS, max_leaves: int = 8) -> st.SearchStrategy[Drawn]:
    """Sizes over some symbols; divisors may become zero at some points."""

    def extend(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
        return st.builds(
            lambda operation, a, b: operation(a, b), st.sampled_from(_OPERATIONS), inner, inner
        )

    return st.recursive(_leaves(symbols), extend, max_leaves=max_leaves)


def values(ranges: Mapping[str, range] = RANGES) -> st.SearchStrategy[dict[str, int]]:
    """A value for each symbol."""
    strategies: dict[str, Any] = {name: st.sampled_from(list(r)) for name, r in ranges.items()}
    return st.fixed_dictionaries(strategies)
