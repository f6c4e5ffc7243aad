"""How near one array is to another: what a cosine sees, and what it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fwd_core.ir import DType, Tensor
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
    side = RNG.standard_normal(1000)
    side -= WANTED * (side @ WANTED) / (WANTED @ WANTED)
    side *= np.sqrt((WANTED @ WANTED) / (side @ side))

    def at(cosine: float) -> str:
        got = cosine * WANTED + np.sqrt(1 - cosine**2) * side
        return _of(WANTED, got).wrong(needed)

    gap = (1 - needed.cosine) / 100
    assert at(needed.cosine + gap) == ""
    assert at(needed.cosine - gap) == f"cosine {needed.cosine - gap:.6f}"


def test_a_factor_is_told_beside_the_cosine_that_does_not_see_it() -> None:
    assert _of(WANTED, WANTED * 2).wrong(EXACT) == "cosine 1.000000, but 2 times as long"
    assert _of(WANTED, WANTED / 2).wrong(EXACT) == "cosine 1.000000, but 0.5 times as long"
    assert _of(WANTED, WANTED * 1.04).wrong(EXACT) == ""
    assert _of(WANTED, WANTED * 1.05).wrong(EXACT)
    assert _of(WANTED, WANTED * 1.05).wrong(HALF) == ""


@pytest.mark.parametrize(
    ("wanted", "got", "text"),
    [
        (2.0, -2.0, "error 2 of the greatest magnitude"),
        (2.0, 2.01, ""),
        (2.0, 2.05, "error 0.0244 of the greatest magnitude"),
        ([3.0], [1.0], "error 0.667 of the greatest magnitude"),
        ([0.0, 0.0], [0.0, 0.0], ""),
        ([0.0, 0.0], [0.0, 1e-8], ""),
        ([0.0, 0.0], [0.0, 1e-3], "error 1 of the greatest magnitude"),
        ([1.0, 2.0], [0.0, 0.0], "error 1 of the greatest magnitude"),
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
    assert _of(small, -small, np.float64).cosine == pytest.approx(-1.0)


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


class TestNoise:
    def test_of_sums_in_another_order(self) -> None:
        assert _of(WANTED, WANTED * (1 + 1e-6)).is_noise
        assert _of([0.0, 0.0], [0.0, 1e-9]).is_noise
        assert _of([1, 2], [1, 2], np.int64).is_noise

    def test_of_random_models(self) -> None:
        assert not _of(WANTED, WANTED + 0.1).is_noise
        assert not _of([1, 2], [1, 3], np.int64).is_noise
        assert not _of([1.0, 2.0], [1.0, NAN]).is_noise
        assert not _of([1.0], [1.0, 2.0]).is_noise


def test_the_worst_of_several_outputs() -> None:
    found = [_of(WANTED, WANTED), _of([1.0, 0.0], [1.0, 1.0]), _of([1, 2], [1, 3], np.int64)]
    summed = summary(found)
    assert summed["cosine"] == pytest.approx(0.5**0.5)
    assert (summed["error"], summed["equal"]) == (1.0, 0.5)
