"""What is said to be always true of sizes is true at every point that is tried."""

from __future__ import annotations

import itertools

import pytest
from dims import RANGES, SYMBOLS, WIDE, Drawn, sizes
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.ir.dim_facts import ENUMERATION_LIMIT, broadcast, is_equal, is_less, shortfall
from fwd_core.ir.dims import Dim, evaluate, symbol

B, H = SYMBOLS["batch"], SYMBOLS["h"]
W, V = WIDE["w"], WIDE["v"]


def _everywhere(a: Drawn, b: Drawn) -> list[tuple[int, int]]:
    pairs = []
    for point in itertools.product(*RANGES.values()):
        at = dict(zip(RANGES, point, strict=True))
        try:
            pairs.append((a.of(at), b.of(at)))
        except ZeroDivisionError:
            continue  # no engine runs there
    return pairs


@given(sizes(), sizes())
def test_facts_are_never_wrong_and_never_missed(a: Drawn, b: Drawn) -> None:
    pairs = _everywhere(a, b)
    for found, truths in (
        (is_equal(a.dim, b.dim), {x == y for x, y in pairs}),
        (is_less(a.dim, b.dim), {x < y for x, y in pairs}),
    ):
        if found is not None:
            assert truths <= {found}
        elif len(pairs) == len(list(itertools.product(*RANGES.values()))):
            assert len(truths) == 2, "ranges this small are decided by trying"


@given(
    sizes(WIDE, max_leaves=4),
    sizes(WIDE, max_leaves=4),
    st.integers(1, 100_000),
    st.integers(2, 90_000),
)
def test_facts_over_wide_ranges_are_never_wrong(a: Drawn, b: Drawn, w: int, v: int) -> None:
    at = {"w": w, "v": v}
    equal, less = is_equal(a.dim, b.dim), is_less(a.dim, b.dim)
    try:
        x, y = a.of(at), b.of(at)
    except ZeroDivisionError:
        return
    assert equal in (None, x == y)
    assert less in (None, x < y)


def test_wide_ranges_are_wide() -> None:
    count = 1
    for dim in WIDE.values():
        (term,) = dim.terms
        ((atom, _),) = term[0]
        count *= atom.bounds()[1]
    assert count > ENUMERATION_LIMIT


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (3, 3, True),
        (3, 4, False),
        (B, B, True),
        (B, B + 1, False),
        (B, 5, False),
        (B, 2, None),
        (B, H, None),
        ((2 * H) // 2, H, True),
        (H // 2 + (H + 1) // 2, H, True),
        (W // 1, W, True),
        (W % 1, 0, True),
        (W, V, None),
        (W * V, V * W, True),
        ((W // 2) * 2 + W % 2, W, None),
    ],
)
def test_is_equal(a: Dim, b: Dim, wanted: bool | None) -> None:
    assert is_equal(a, b) is wanted
    assert is_equal(b, a) is wanted


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (3, 4, True),
        (4, 4, False),
        (B, 5, True),
        (B, 4, None),
        (B, 1, False),
        (B, B + 1, True),
        (W // 2, W, None),  # true, but beyond what bounds and sympy see
        (W // 2, 50_001, True),
        (W % 7, 7, True),
    ],
)
def test_is_less(a: Dim, b: Dim, wanted: bool | None) -> None:
    assert is_less(a, b) is wanted


def test_one_name_with_two_ranges_is_not_judged() -> None:
    one, other = symbol("n", 1, 1, 9), symbol("n", 1, 1, 99)
    assert is_equal(one, other) is None
    assert is_less(one, other) is None


def test_a_range_of_one_value_is_that_value() -> None:
    fixed = symbol("n", 4, 4, 4)
    assert is_equal(fixed, 4) is True
    assert is_less(fixed * W, 4 * W) is not True


class TestBroadcast:
    @pytest.mark.parametrize(
        ("shapes", "wanted"),
        [
            ([], ()),
            ([()], ()),
            ([(2, 3), (3,)], (2, 3)),
            ([(2, 1), (1, 3)], (2, 3)),
            ([(B, 3), (1,)], (B, 3)),
            ([(1, 3), (B, 1), ()], (B, 3)),
            ([(0, 3), (1, 3)], (0, 3)),
            ([(H // 2 + (H + 1) // 2,), (H,)], (H // 2 + (H + 1) // 2,)),
        ],
    )
    def test_shapes(self, shapes: list[tuple[Dim, ...]], wanted: tuple[Dim, ...]) -> None:
        assert broadcast(*shapes) == wanted

    def test_different_sizes(self) -> None:
        with pytest.raises(ValueError, match=r"shapes \[2, 3\] and \[4\] do not broadcast: 3 agai"):
            broadcast((2, 3), (4,))

    def test_sizes_that_may_differ(self) -> None:
        with pytest.raises(ValueError, match="do not broadcast: batch against h"):
            broadcast((B,), (H,))
        with pytest.raises(ValueError, match="do not broadcast: batch against 2"):
            broadcast((B,), (2,))


@given(sizes(), sizes())
def test_a_shortfall_is_where_a_size_is_negative(a: Drawn, b: Drawn) -> None:
    difference = a.dim - b.dim
    at = shortfall(difference)
    if at is None:
        assert all(x - y >= 0 for x, y in _everywhere(a, b))
    else:
        assert evaluate(difference, at) < 0


def test_shortfalls_of_wide_ranges_are_found_at_their_ends() -> None:
    assert shortfall(W * V - 3) == {"v": 2, "w": 1}
    assert shortfall(W * V) is None
    assert shortfall(3) is None
    assert shortfall(-3) == {}
