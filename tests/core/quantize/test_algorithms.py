from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fwd_core import Plugins, core_pack, hookimpl
from fwd_core.errors import CalibrationError, OptionError, PluginError
from fwd_core.plugins.registers import AlgorithmRegister
from fwd_core.quantize import (
    ENTROPY_CALIBRATION,
    ENTROPY_CALIBRATION_2,
    MINMAX_CALIBRATION,
    MSE_CALIBRATION,
    PERCENTILE_CALIBRATION,
    Algorithm,
    Histogram,
    algorithm_of,
)
from fwd_core.quantize.algorithms import Mse, Percentile, squared_errors

NAMES = [
    ENTROPY_CALIBRATION,
    ENTROPY_CALIBRATION_2,
    MINMAX_CALIBRATION,
    PERCENTILE_CALIBRATION,
    MSE_CALIBRATION,
]
PLUGINS = Plugins({"core": core_pack})


def _histogram(values: np.ndarray) -> Histogram:
    histogram = Histogram("x")
    histogram.update(values)
    return histogram


def _amax(name: str, values: np.ndarray) -> float:
    return algorithm_of(PLUGINS, name).amax(_histogram(values))


def _error(values: np.ndarray, amax: float) -> float:
    """Mean squared error of int8 with this range."""
    scale = amax / 127
    return float(np.mean((np.clip(np.round(values / scale), -127, 127) * scale - values) ** 2))


def _draw(kind: str, seed: int = 0, size: int = 200_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return {
        "gauss": lambda: rng.normal(size=size),
        "laplace": lambda: rng.laplace(size=size),
        "uniform": lambda: rng.uniform(-1, 1, size),
        "relu": lambda: np.maximum(rng.normal(size=size), 0),
        "relu6": lambda: np.clip(rng.normal(size=size) * 4, 0, 6),
    }[kind]()


VALUES = st.builds(
    lambda kind, seed, size: _draw(kind, seed, size),
    st.sampled_from(["gauss", "laplace", "uniform", "relu", "relu6"]),
    st.integers(0, 1000),
    st.integers(1, 3000),
)


def test_the_core_brings_five() -> None:
    assert list(PLUGINS.algorithms) == NAMES
    assert NAMES == ["entropy", "entropy_2", "minmax", "percentile", "mse"]
    assert {PLUGINS.algorithms.owner(name) for name in NAMES} == {"core"}
    assert repr(PLUGINS.algorithms["mse"]) == "<Mse mse>"


# --- what they choose ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@given(values=VALUES)
def test_ranges_are_within_what_was_seen(name: str, values: np.ndarray) -> None:
    assume(values.any())
    amax = _amax(name, values)
    beyond = 0.5 / 2048 if name.startswith("entropy") else 0.0
    assert 0 < amax <= np.abs(values).max() * (1 + beyond)


@pytest.mark.parametrize("name", NAMES)
@given(values=VALUES, exponent=st.integers(-30, 30))
def test_powers_of_two_scale_ranges_exactly(name: str, values: np.ndarray, exponent: int) -> None:
    assume(values.any())
    assert _amax(name, values * 2.0**exponent) == _amax(name, values) * 2.0**exponent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["gauss", "laplace", "uniform", "relu", "relu6"])
@pytest.mark.parametrize("factor", [0.3, 1.7, 5.1])
def test_factors_scale_ranges(name: str, kind: str, factor: float) -> None:
    # Bins end elsewhere then. The entropy searches' divergences are flat about their least.
    values = _draw(kind)
    close = {"minmax": 1e-12, "percentile": 1e-3, "mse": 0.02}.get(name, 0.1)
    assert _amax(name, values * factor) == pytest.approx(_amax(name, values) * factor, rel=close)


@pytest.mark.parametrize("name", NAMES)
@given(values=VALUES)
def test_signs_do_not_matter(name: str, values: np.ndarray) -> None:
    assume(values.any())
    assert _amax(name, -values) == _amax(name, np.abs(values)) == _amax(name, values)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["uniform", "relu6"])
def test_evenly_used_ranges_are_not_clipped(name: str, kind: str) -> None:
    values = _draw(kind)
    assert _amax(name, values) == pytest.approx(np.abs(values).max(), rel=0.01)


@pytest.mark.parametrize("name", sorted({*NAMES} - {MINMAX_CALIBRATION}))
def test_one_great_value_is_clipped(name: str) -> None:
    values = np.append(_draw("gauss"), 60.0)
    amax = _amax(name, values)
    # The square of what is cut off weighs: mean squared error alone keeps half of it.
    assert 3 < amax < (30 if name == MSE_CALIBRATION else 6)
    assert _error(values, amax) < _error(values, 60.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["gauss", "laplace", "relu"])
def test_little_is_lost(name: str, kind: str) -> None:
    values = _draw(kind)
    best = min(_error(values, part * np.abs(values).max()) for part in np.linspace(0.05, 1, 200))
    # 3 dB from the best that any range gives, and minmax further off for long tails.
    allowed = 4.0 if name == MINMAX_CALIBRATION else 2.0
    assert _error(values, _amax(name, values)) < allowed * best


@pytest.mark.parametrize("name", NAMES)
def test_zeros_do_not_move_the_searches(name: str) -> None:
    values = _draw("gauss")
    many = np.concatenate([values, np.zeros(300_000)])
    if name == PERCENTILE_CALIBRATION:
        assert _amax(name, many) < _amax(name, values)  # it counts them
    else:
        assert _amax(name, many) == _amax(name, values)


@pytest.mark.parametrize("name", NAMES)
def test_equal_values_are_held(name: str) -> None:
    assert _amax(name, np.full(10, 0.3)) == pytest.approx(0.3, rel=1e-3)


@given(VALUES, st.floats(1, 100, exclude_min=True))
def test_percentile_is_that_of_the_definition(values: np.ndarray, percent: float) -> None:
    assume(values.any())
    histogram = _histogram(values)
    amax = Percentile(percent).amax(histogram)
    magnitudes = np.sort(np.abs(values))
    wanted = magnitudes[math.ceil(len(values) * (percent / 100)) - 1]
    if wanted == 0:
        assert amax == magnitudes[-1]
    else:
        assert wanted <= amax <= wanted + histogram.width


@given(VALUES, st.lists(st.floats(1, 100, exclude_min=True), min_size=2, max_size=5))
def test_percentiles_rise(values: np.ndarray, percents: list[float]) -> None:
    assume((values != 0).all())
    found = [Percentile(percent).amax(_histogram(values)) for percent in sorted(percents)]
    assert found == sorted(found)
    assert Percentile(100).amax(_histogram(values)) == np.abs(values).max()


@given(
    st.lists(st.integers(0, 9), min_size=20, max_size=300).filter(any),
    st.lists(st.floats(1, 300), min_size=1, max_size=4),
)
def test_squared_errors_are_those_of_the_definition(counts: list[int], tried: list[float]) -> None:
    expected = []
    for amax in tried:
        total = 0.0
        for index, count in enumerate(counts):
            middle, scale = index + 0.5, amax / 127
            total += count * (min(127, round(middle / scale)) * scale - middle) ** 2
        expected.append(total)
    found = squared_errors(np.array(counts), np.array(tried))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["gauss", "laplace", "relu", "uniform", "relu6"])
def test_mse_finds_the_least_error(kind: str) -> None:
    values = _draw(kind)
    found = _error(values, _amax(MSE_CALIBRATION, values))
    best = min(_error(values, part * np.abs(values).max()) for part in np.linspace(0.02, 1, 400))
    assert found <= best * 1.01


def test_ranges_that_float64_hardly_holds() -> None:
    assert _amax(MSE_CALIBRATION, np.array([1e-320])) == 1e-320


@pytest.mark.parametrize("name", NAMES)
def test_a_hundred_tensors_take_at_most_seconds(name: str) -> None:
    histograms = [_histogram(_draw("gauss", seed, 5000)) for seed in range(25)]
    algorithm = algorithm_of(PLUGINS, name)
    algorithm.amax(histograms[0])  # makes what all share
    start = time.thread_time()
    for histogram in histograms:
        algorithm.amax(histogram)
    assert (time.thread_time() - start) * 4 < 2.0


# --- what is said of them -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_zeros_has_the_range_0(name: str) -> None:
    assert _amax(name, np.zeros(7)) == 0.0


def test_a_tensor_that_was_never_seen_has_none() -> None:
    with pytest.raises(CalibrationError) as caught:
        PLUGINS.algorithms["minmax"].amax(Histogram("relu1"))
    assert str(caught.value) == (
        "no value of tensor 'relu1' was collected\n"
        "  Hint: calibrate with batches that are not empty"
    )


class Odd(Algorithm):
    name = "odd"

    def __init__(self, answer: float) -> None:
        self.answer = answer

    def range_of(self, histogram: Histogram) -> float:
        return self.answer * histogram.maximum


class Pack:
    def __init__(self, algorithm: Algorithm, override: bool = False) -> None:
        self.algorithm, self.override = algorithm, override

    @hookimpl
    def fwd_register_calibration_algorithms(self, register: AlgorithmRegister) -> None:
        register.add(self.algorithm, override=self.override)


def test_packs_add_algorithms() -> None:
    plugins = Plugins({"core": core_pack, "mine": Pack(Odd(0.5))})
    algorithm = algorithm_of(plugins, "odd")
    assert algorithm.amax(_histogram(np.array([1.0, -4.0]))) == 2.0
    assert algorithm_of(plugins, algorithm) is algorithm
    assert plugins.algorithms.owner("odd") == "mine"


@pytest.mark.parametrize("answer", [math.nan, math.inf, 0.0, -1.0])
def test_what_is_no_range_is_refused(answer: float) -> None:
    with pytest.raises(CalibrationError) as caught:
        Odd(answer).amax(_histogram(np.array([1.0])))
    assert str(caught.value) == (
        "calibration algorithm 'odd' gives no range of tensor 'x'\n"
        "  expected: a finite number above 0\n"
        f"  got:      {answer}\n"
        "  Hint: choose another algorithm, and report this to whoever wrote this one"
    )


class Failing(Odd):
    def range_of(self, histogram: Histogram) -> float:
        raise ZeroDivisionError("by nothing")


def test_an_algorithm_that_fails_is_told_with_the_tensor() -> None:
    with pytest.raises(CalibrationError) as caught:
        Failing(1).amax(_histogram(np.array([1.0])))
    assert str(caught.value) == (
        "calibration algorithm 'odd' failed for tensor 'x'\n"
        "  ZeroDivisionError: by nothing\n"
        "  Hint: choose another algorithm, and report this to whoever wrote this one"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class Named(Odd):
    name = "minmax"


def test_names_are_taken_once_or_overridden() -> None:
    clash = Plugins({"core": core_pack, "mine": Pack(Named(1))})
    with pytest.raises(
        PluginError,
        match=r"both register calibration algorithm 'minmax': packs 'core' and 'mine'",
    ):
        _ = clash.algorithms
    mine = Named(1)
    plugins = Plugins({"core": core_pack, "mine": Pack(mine, override=True)})
    assert algorithm_of(plugins, "minmax") is mine


def test_names_with_settings_and_aliases() -> None:
    assert algorithm_of(PLUGINS, "legacy").name == "entropy"
    assert algorithm_of(PLUGINS, "percentile").name == "percentile"
    assert algorithm_of(PLUGINS, "percentile=99.99").name == "percentile"
    set_ = algorithm_of(PLUGINS, "percentile=99.9")
    assert isinstance(set_, Percentile)
    assert (set_.name, set_.percent) == ("percentile=99.9", 99.9)
    assert isinstance(algorithm_of(PLUGINS, "mse"), Mse)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "entropy2",
            "unknown calibration algorithm 'entropy2'\n"
            "  expected: one of entropy, entropy_2, minmax, percentile, mse, legacy\n"
            "  got:      'entropy2'\n"
            "  Hint: did you mean 'entropy_2'?",
        ),
        (
            "",
            "unknown calibration algorithm ''\n"
            "  expected: one of entropy, entropy_2, minmax, percentile, mse, legacy\n"
            "  got:      ''\n"
            "  Hint: `fwd plugins` lists packs and theirs",
        ),
        (
            "mse=3",
            "calibration algorithm 'mse' has no setting\n  expected: mse\n  got:      mse=3",
        ),
        (
            "percentile=many",
            "calibration algorithm 'percentile' takes a number\n"
            "  expected: such as percentile=99.99\n"
            "  got:      percentile=many",
        ),
        (
            "percentile=0",
            "calibration algorithm 'percentile' cannot clip there\n"
            "  expected: a percentage, above 1 and at most 100\n"
            "  got:      0.0\n"
            "  Hint: the usual one is 99.99",
        ),
        (
            "percentile=0.999",
            "calibration algorithm 'percentile' cannot clip there\n"
            "  expected: a percentage, above 1 and at most 100\n"
            "  got:      0.999\n"
            "  Hint: percentages, not fractions: 99.9, not 0.999",
        ),
        (
            "percentile=1",
            "calibration algorithm 'percentile' cannot clip there\n"
            "  expected: a percentage, above 1 and at most 100\n"
            "  got:      1.0\n"
            "  Hint: percentages, not fractions: 100, not 1",
        ),
    ],
)
def test_names_that_mean_nothing_are_refused(name: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        algorithm_of(PLUGINS, name)
    assert str(caught.value) == text
