"""How near one array is to another: what a cosine sees, and what it does not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from fwd_core.ir import DType, Tensor
from fwd_core.self_check import nearness
from fwd_core.self_check.nearness import EXACT, HALF, INT8, Nearness, summary

NAN, INF = float("nan"), float("inf")
RNG = np.random.default_rng(0)
WANTED = RNG.standard_normal(1000)


def _of(wanted: Any, got: Any, dtype: type = np.float32) -> Nearness:
    return Nearness.of(Tensor(np.asarray(wanted, dtype)), Tensor(np.asarray(got, dtype)))


def test_equal_arrays() -> None:
    found = _of(WANTED, WANTED)
    assert (found.error, found.broken, found.equal) == (0.0, 0, None)
    assert found.cosine == pytest.approx(1.0, abs=1e-12)
    assert found.cosine is not None
    assert found.cosine <= 1.0
    assert not found.wrong(EXACT)


@pytest.mark.parametrize("needed", [EXACT, HALF, INT8])
def test_the_bound_of_a_cosine(needed: Any) -> None:
    wanted = np.where(WANTED > 0, 1.0, -1.0)  # so that an error is not what is seen first
    side = RNG.permutation(np.repeat([1.0, -1.0], 500))
    side -= wanted * (side @ wanted) / (wanted @ wanted)
    side *= np.sqrt((wanted @ wanted) / (side @ side))
    wide = replace(needed, error=9.0, centered=False)

    def at(cosine: float) -> str:
        got = cosine * wanted + np.sqrt(1 - cosine**2) * side
        return _of(wanted, got).wrong(wide)

    gap = (1 - needed.cosine) / 100
    assert at(needed.cosine + gap) == ""
    assert at(needed.cosine - gap).startswith(f"cosine {needed.cosine - gap:.6f}, ")


def test_a_factor_is_told_beside_the_cosine_that_does_not_see_it() -> None:
    assert _of(WANTED, WANTED * 2).wrong(EXACT) == "cosine 1.000000, but 2 times as long"
    assert _of(WANTED, WANTED / 2).wrong(EXACT) == "cosine 1.000000, but 0.5 times as long"
    assert _of(WANTED, WANTED * 1.005).wrong(EXACT) == ""
    assert _of(WANTED, WANTED * 1.05).wrong(EXACT)
    assert _of(WANTED, WANTED * 1.05).wrong(HALF) == ""


@pytest.mark.parametrize("needed", [EXACT, HALF, INT8])
def test_one_wrong_number_of_many_is_seen(needed: Any) -> None:
    wanted = RNG.uniform(0.5, 1.0, 100_000)
    for far, told in ((0.8, False), (1.2, True)):
        got = wanted.copy()
        got[77] -= far * needed.error * wanted.max()
        assert bool(_of(wanted, got).wrong(needed)) is told
    assert f"error {1.2 * needed.error:.3g}, " in _of(wanted, got).wrong(needed)


def test_small_differences_on_top_of_a_constant_are_seen() -> None:
    wanted = 100 + np.linspace(0, 0.5, 1000)
    assert _of(wanted, wanted[::-1]).wrong(EXACT) == (
        "cosine -1.000000 about the mean, 0.5 apart of numbers up to 100"
    )
    assert _of(wanted, wanted[::-1]).wrong(HALF) == ""
    flat = np.full(1000, 100.0, np.float32)
    assert _of(flat, np.nextafter(flat, np.float32(0))).wrong(EXACT) == ""


def test_numbers_that_stand_for_infinity_hide_nothing() -> None:
    least = float(np.finfo(np.float32).min)
    wanted = np.array([least, 1.0, 2.0, least])
    assert _of(wanted, wanted * [1, -1, 1, 1]).wrong(EXACT).startswith("cosine 0.600000, 2 apart")
    assert _of(wanted, [-np.inf, 1.0, 2.0, 0.1 * least]).wrong(EXACT) == ""
    assert _of(wanted, [least, least, 2.0, least]).broken == 1
    assert _of([3e38, 1e38], [3e38, -1e38]).wrong(EXACT)  # where all are so great, they count
    assert _of([3e38, 1e38], [3e38, 1e38]).cosine == pytest.approx(1.0)


def test_many_numbers_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    got = WANTED + RNG.standard_normal(1000) / 10
    whole = _of(WANTED, got)
    monkeypatch.setattr(nearness, "_CHUNK", 7)
    parts = _of(WANTED, got)
    for field in fields(Nearness):
        one, other = (getattr(found, field.name) for found in (whole, parts))
        assert one == other if one is None or field.name == "types" else one == pytest.approx(other)


@pytest.mark.parametrize(
    ("wanted", "got", "text"),
    [
        (2.0, -2.0, "error 2, 4 apart of numbers up to 2"),
        (2.0, 2.01, ""),
        (2.0, 2.05, "error 0.0244, 0.05 apart of numbers up to 2.05"),
        ([3.0], [1.0], "error 0.667, 2 apart of numbers up to 3"),
        ([0.0, 0.0], [0.0, 0.0], ""),
        ([0.0, 0.0], [0.0, 1e-8], ""),
        ([0.0, 0.0], [0.0, 1e-3], "error 1, 0.001 apart of numbers up to 0.001"),
        ([1.0, 2.0], [0.0, 0.0], "error 1, 2 apart of numbers up to 2"),
    ],
)
def test_single_numbers_and_zeros_are_judged_by_their_error(
    wanted: Any, got: Any, text: str
) -> None:
    found = _of(wanted, got)
    assert found.cosine is None
    assert found.wrong(EXACT) == text


def test_great_and_small_numbers() -> None:
    great = WANTED * 1e307
    assert _of(great, great, np.float64).cosine == pytest.approx(1.0)
    small = WANTED * 1e-307
    found = _of(small, -small, np.float64)
    assert (found.error, found.cosine) == (pytest.approx(2.0), None)  # both are 0 beside 1


def test_empty_arrays_have_nothing_to_compare() -> None:
    found = _of(np.zeros((2, 0)), np.zeros((2, 0)))
    assert found == Nearness()
    assert found.wrong(EXACT) == ""
    assert summary([found]) == {"cosine": None, "error": None, "equal": None}


class TestNumbersThatAreNotFinite:
    def test_at_the_same_places(self) -> None:
        wanted = [1.0, NAN, INF, 2.0]
        found = _of(wanted, wanted)
        assert found.wrong(EXACT) == ""
        assert found.cosine == pytest.approx(1.0)

    def test_where_the_model_has_them_anything_goes(self) -> None:
        assert _of([1.0, NAN, 2.0], [1.0, 7.0, 2.0]).wrong(EXACT) == ""

    @pytest.mark.parametrize("needed", [EXACT, HALF, INT8])
    def test_where_the_model_has_none(self, needed: Any) -> None:
        found = _of([1.0, 2.0, 3.0, INF], [1.0, NAN, -INF, INF])
        assert found.broken == 2
        assert found.wrong(needed) == "2 infinite or NaN, where the model's are finite"

    def test_all_of_them(self) -> None:
        assert _of([NAN, INF], [NAN, INF]).wrong(EXACT) == ""
        assert _of([1.0, 2.0], [NAN, INF]).broken == 2


def test_integers_and_bools_are_told_and_never_refused() -> None:
    found = _of([1, 2, 3, 4], [1, 2, 3, 9], np.int64)
    assert (found.equal, found.cosine, found.error) == (0.75, None, None)
    assert found.wrong(EXACT) == ""
    assert _of([True, False], [True, True], np.bool_).equal == 0.5


def test_bfloat16_is_read_from_its_words() -> None:
    one, two = (Tensor(np.array([word], np.uint16), DType.BFLOAT16) for word in (0x3F80, 0x4000))
    assert Nearness.of(one, one).error == 0.0
    assert Nearness.of(one, two).error == 0.5  # 1.0 and 2.0


def test_types_and_shapes_have_to_be_the_same() -> None:
    wanted = Tensor(np.zeros((2, 3), np.float32))
    for got in (Tensor(np.zeros((3, 2), np.float32)), Tensor(np.zeros((2, 3), np.float16))):
        told = f"{got.type}, and the model's is float32[2, 3]"
        assert Nearness.of(wanted, got).wrong(INT8) == told


def test_too_few_equal_integers_are_no_rounding() -> None:
    assert _of([1, 2, 3, 4], [1, 2, 9, 9], np.int64).unequal == ""
    told = _of([1, 2, 3, 4], [1, 9, 9, 9], np.int64)
    assert told.unequal == "25.0000% of its integers or bools are equal"
    assert told.wrong(EXACT) == ""


class TestWhatExplains:
    def test_a_model_that_moves_as_much(self) -> None:
        off = _of(WANTED, WANTED + 0.1)
        assert _of(WANTED, WANTED - 0.1).explains(off)
        assert _of(WANTED, WANTED + 0.03).explains(off)
        assert not _of(WANTED, WANTED + 0.02).explains(off)
        assert not _of(WANTED, WANTED).explains(off)

    def test_integers(self) -> None:
        off = _of([1, 2, 3, 4], [9, 9, 9, 9], np.int64)
        assert _of([1, 2, 3, 4], [1, 2, 3, 9], np.int64).explains(off)
        assert not _of([1, 2, 3, 4], [1, 2, 3, 4], np.int64).explains(off)

    def test_types_and_infinities(self) -> None:
        off = _of([1.0, 2.0], [1.0, NAN])
        assert _of([1.0, 2.0], [INF, 2.0]).explains(off)
        assert not _of([1.0, 2.0], [9.0, 2.0]).explains(off)
        types = Nearness.of(Tensor(np.zeros(1)), Tensor(np.zeros(2)))
        assert not _of([1.0], [2.0]).explains(types)
        assert types.explains(off)
        assert types.explains(types)
        assert not _of([1.0, 2.0], [INF, 2.0]).explains(types)


def test_the_worst_of_several_outputs() -> None:
    found = [_of(WANTED, WANTED), _of([1.0, 0.0], [1.0, 1.0]), _of([1, 2], [1, 3], np.int64)]
    summed = summary(found)
    assert summed["cosine"] == pytest.approx(0.5**0.5)
    assert (summed["error"], summed["equal"]) == (1.0, 0.5)


def test_zeros_but_for_rounding_are_no_alarm() -> None:
    found = [_of(WANTED, WANTED), _of([0.0, 1e-8], [1e-8, 0.0])]
    assert summary(found) == {
        "cosine": pytest.approx(1.0), "error": pytest.approx(1e-8), "equal": None
    }  # fmt: skip


def test_outputs_of_which_nothing_is_finite_are_counted() -> None:
    assert summary([_of([NAN], [NAN])]) == {
        "cosine": None, "error": None, "equal": None, "not finite": 1
    }  # fmt: skip
