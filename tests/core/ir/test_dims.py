"""Sizes against Python's own integers."""

from __future__ import annotations

import pytest
from dims import RANGES, SYMBOLS, Drawn, Values, sizes, values
from hypothesis import assume, given
from hypothesis import strategies as st

from fwd_core.ir.dims import (
    Dim,
    DimExpr,
    Symbol,
    bounds,
    divide_exactly,
    evaluate,
    floordiv,
    maximum,
    minimum,
    modulo,
    multiple,
    product,
    single_symbol,
    substitute,
    symbol,
    symbols,
)

B, H = SYMBOLS["batch"], SYMBOLS["h"]


def _python(drawn: Drawn, at: Values) -> int:
    try:
        return drawn.of(at)
    except ZeroDivisionError:
        assume(False)
        raise


@given(sizes(), values())
def test_arithmetic_is_that_of_integers(drawn: Drawn, at: Values) -> None:
    wanted = _python(drawn, at)
    assert evaluate(drawn.dim, at) == wanted


@given(sizes(), values())
def test_bounds_hold_every_value(drawn: Drawn, at: Values) -> None:
    value = _python(drawn, at)
    low, high = bounds(drawn.dim)
    assert low <= value <= high


@given(sizes(), sizes(), sizes())
def test_ring_laws_give_equal_objects(a: Drawn, b: Drawn, c: Drawn) -> None:
    pairs: list[tuple[Dim, Dim]] = [
        (a.dim + b.dim, b.dim + a.dim),
        (a.dim * b.dim, b.dim * a.dim),
        ((a.dim + b.dim) + c.dim, a.dim + (b.dim + c.dim)),
        ((a.dim * b.dim) * c.dim, a.dim * (b.dim * c.dim)),
        (a.dim * (b.dim + c.dim), a.dim * b.dim + a.dim * c.dim),
        (a.dim - a.dim, 0),
        (a.dim + 0, a.dim),
        (a.dim * 1, a.dim),
        (a.dim * 0, 0),
    ]
    for left, right in pairs:
        assert left == right
        assert hash(left) == hash(right)
        assert repr(left) == repr(right)


@given(sizes(), sizes(), values())
def test_divide_exactly_gives_a_factor(a: Drawn, b: Drawn, at: Values) -> None:
    assume(b.dim != 0)
    quotient = divide_exactly(a.dim * b.dim, b.dim)
    assert quotient is not None, "a product divides by its factor"
    wanted, divisor = _python(a, at), _python(b, at)
    assume(divisor != 0)
    assert evaluate(quotient, at) == wanted


@given(sizes(), sizes(), values())
def test_what_divide_exactly_returns_is_right(a: Drawn, b: Drawn, at: Values) -> None:
    assume(b.dim != 0)
    quotient = divide_exactly(a.dim, b.dim)
    if quotient is not None:
        assert quotient * b.dim == a.dim
        wanted, divisor = _python(a, at), _python(b, at)
        assert evaluate(quotient, at) * divisor == wanted


@given(sizes(), st.sampled_from(sorted(SYMBOLS)), sizes(max_leaves=3), values())
def test_substitution_of_an_expression(drawn: Drawn, name: str, inner: Drawn, at: Values) -> None:
    inside = _python(inner, at)
    assume(inside in RANGES[name])  # what simplified did so for the symbol's own range
    wanted = _python(drawn, {**at, name: inside})
    assert evaluate(substitute(drawn.dim, {name: inner.dim}), at) == wanted


@given(sizes())
def test_symbols_are_those_that_matter(drawn: Drawn) -> None:
    found = symbols(drawn.dim)
    assert [one.name for one in found] == sorted({one.name for one in found})
    if not found:
        assert isinstance(drawn.dim, int)


def test_normal_forms_are_short() -> None:
    assert (B * 6) // 2 == 3 * B
    assert (B * 4) // B == 4
    assert (B * H) % H == 0
    assert (6 * B + 4) // 2 == 3 * B + 2
    assert ((H // 2) // 2) == H // 4
    assert (B + 5) // 100 == 0
    assert (B + 5) % 100 == B + 5
    assert (7 * B) % 7 == 0
    assert minimum(B, H) is not None
    assert maximum(B, 10) == 10
    assert minimum(B, 10) == B
    assert minimum(B, H) == minimum(H, B)
    assert maximum(B, B) == B


def test_integers_stay_integers() -> None:
    for result in (floordiv(-7, 2), modulo(-7, 2), minimum(3, 4), maximum(3, 4), product([2, 3])):
        assert type(result) is int
    assert (floordiv(-7, 2), modulo(-7, 2)) == (-4, 1)
    assert product([]) == 1


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (B * 3, "3*batch"),
        (B - H, "-h + batch"),
        (B * B + 1, "batch**2 + 1"),
        ((H + 1) // 2, "((h + 1) // 2)"),
        (H % 4, "(h % 4)"),
        (minimum(B, H), "min(batch, h)"),
        (-B, "-batch"),
    ],
)
def test_printed_form(dim: Dim, text: str) -> None:
    assert str(dim) == text


def test_truth_of_a_size_is_not_known() -> None:
    with pytest.raises(TypeError, match=r"the truth of size batch is not known: use is_equal"):
        bool(B)


@pytest.mark.parametrize("bad", [(-1, 0, 1), (2, 1, 3), (1, 4, 3)])
def test_symbol_needs_an_ordered_range(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="dim 'n' needs 0 <= min <= opt <= max, got"):
        symbol("n", *bad)


def test_division_by_the_integer_zero() -> None:
    for operation in (floordiv, modulo):
        for left in (B, 3):
            with pytest.raises(ZeroDivisionError):
                operation(left, 0)
    assert divide_exactly(B, 0) is None


def test_other_operands_are_refused() -> None:
    with pytest.raises(TypeError):
        B + 1.5  # type: ignore[operator]
    with pytest.raises(TypeError):
        B // "2"  # type: ignore[operator]
    with pytest.raises(TypeError):
        1.5 % B  # type: ignore[operator]
    with pytest.raises(TypeError):
        1.5 - B  # type: ignore[operator]
    with pytest.raises(TypeError):
        [1] // B  # type: ignore[operator]


def test_evaluate_names_what_is_missing() -> None:
    with pytest.raises(KeyError, match=r"no value for h in batch\*h"):
        evaluate(B * H, {"batch": 2})


def test_single_symbol() -> None:
    assert single_symbol(B) == Symbol("batch", 1, 2, 4)
    for dim in (3, B + 1, 2 * B, B * B, H // 2):
        assert single_symbol(dim) is None


def test_multiple() -> None:
    batch = Symbol("batch", 1, 2, 4)
    assert multiple(B) == (batch, 1)
    assert multiple(4 * B) == (batch, 4)
    for dim in (3, B + 1, -B, B * B, B * H, H // 2):
        assert multiple(dim) is None


def test_same_name_other_range_is_another_size() -> None:
    assert symbol("n", 1, 1, 2) != symbol("n", 1, 1, 3)
    assert symbol("n", 1, 1, 2) == symbol("n", 1, 1, 2)


def test_deep_expressions_work() -> None:
    dim: Dim = symbol("n", 1, 1 << 60, 1 << 61)
    value = 1 << 60
    for _ in range(60):
        dim, value = (dim + 1) // 2 + 1, (value + 1) // 2 + 1
    assert isinstance(dim, DimExpr)
    low, high = bounds(dim)
    assert low <= value <= high
    assert evaluate(dim, {"n": 1 << 60}) == value


def test_ranges_of_the_strategies_are_those_of_the_symbols() -> None:
    for name, dim in SYMBOLS.items():
        (one,) = symbols(dim)
        assert RANGES[name] == range(one.min, one.max + 1)
