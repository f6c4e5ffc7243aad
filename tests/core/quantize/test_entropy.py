"""The searches against their definitions, written as loops, bin by bin."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.quantize import Histogram, entropy


def _even(bin_: int, kept: int, levels: int) -> int:
    return bin_ * levels // kept


def _centred(bin_: int, kept: int, levels: int) -> int:
    """Levels of equal width from 0 to the middle of the last bin; that bin is in the last."""
    width = (kept - Fraction(1, 2)) / levels
    return min(levels - 1, math.floor((bin_ + Fraction(1, 2)) / width))


def _divergence(
    counts: list[float], kept: int, levels: int, level_of: Callable[[int, int, int], int]
) -> float:
    """KL divergence of the quantized from the clipped distribution."""
    reference = list(counts[:kept])
    reference[-1] += sum(counts[kept:])
    sums, filled = [0.0] * levels, [0] * levels
    for index in range(kept):
        if counts[index] > 0:
            level = level_of(index, kept, levels)
            sums[level] += counts[index]
            filled[level] += 1
    spread = [0.0] * kept
    for index in range(kept):
        if counts[index] > 0:
            level = level_of(index, kept, levels)
            spread[index] = sums[level] / filled[level]
    if not sum(spread):
        return math.inf
    total = 0.0
    for p, q in zip(reference, spread, strict=True):
        p, q = p / sum(reference), q / sum(spread)
        if p > 0:
            total += p * math.log(p / q) if q > 0 else math.inf
    return total


COUNTS = st.lists(
    st.one_of(st.just(0.0), st.integers(1, 50).map(float), st.floats(0.01, 1e6)),
    min_size=8,
    max_size=40,
).filter(any)


@given(COUNTS, st.integers(2, 8), st.sampled_from(["even", "centred"]))
def test_divergences_are_those_of_the_definition(
    counts: list[float], levels: int, kind: str
) -> None:
    starts, level_of = {
        "even": (entropy.even_levels, _even),
        "centred": (entropy.centred_levels, _centred),
    }[kind]
    found = entropy.divergences(np.array(counts), starts(len(counts), levels))
    expected = [
        _divergence(counts, kept, levels, level_of) for kept in range(levels, len(counts) + 1)
    ]
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert found[-1] < math.inf


@given(st.integers(1, 12), st.integers(0, 60))
def test_levels_are_those_of_the_definition(levels: int, more: int) -> None:
    bins = levels + more
    for starts, level_of in (
        (entropy.even_levels(bins, levels), _even),
        (entropy.centred_levels(bins, levels), _centred),
    ):
        for row, kept in zip(starts, range(levels, bins + 1), strict=True):
            of_bin = [level_of(index, kept, levels) for index in range(kept)]
            expected = [of_bin.count(level) for level in range(levels)]
            assert np.diff(row).tolist() == expected


DRAWS = {
    "gauss": lambda rng: rng.normal(size=50_000),
    "laplace": lambda rng: rng.laplace(size=50_000),
    "uniform": lambda rng: rng.uniform(-1, 1, 50_000),
    "relu": lambda rng: np.maximum(rng.normal(size=50_000), 0),
    "outlier": lambda rng: np.append(rng.normal(size=50_000), 40.0),
    "bytes": lambda rng: rng.integers(0, 256, 50_000) / 255,
    "one value": lambda rng: np.full(9, 0.3),
}


def _histogram(values: np.ndarray) -> Histogram:
    histogram = Histogram("x")
    histogram.update(values)
    return histogram


def _quick(counts: np.ndarray, kept: int, level_of: np.ndarray) -> float:
    """The same divergence, by one cut at a time in NumPy: 2048 bins are many for loops."""
    reference, held = counts[:kept].copy(), counts[:kept] > 0
    reference[-1] += counts[kept:].sum()
    sums = np.bincount(level_of, counts[:kept])
    filled = np.bincount(level_of, held)
    spread = np.where(held, sums[level_of] / np.maximum(filled[level_of], 1), 0.0)
    p, q = reference / reference.sum(), spread / spread.sum()
    if ((p > 0) & (q <= 0)).any():
        return math.inf
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def _last_least(values: list[float]) -> int:
    least = min(values)
    return max(index for index, value in enumerate(values) if value <= least + 1e-10)


@pytest.mark.parametrize("kind", DRAWS)
def test_entropy_is_the_published_search(kind: str) -> None:
    histogram = _histogram(DRAWS[kind](np.random.default_rng(3)))
    counts = histogram.resampled(2048)
    counts[0] = counts[1]
    found = [
        _quick(counts, kept, np.arange(kept) * 128 // kept) if counts[:kept].any() else math.inf
        for kept in range(128, 2049)
    ]
    cut = 128 + _last_least(found)
    expected = (cut + 0.5) * histogram.maximum / 2048
    assert entropy.entropy_range(histogram) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", DRAWS)
def test_entropy_2_is_the_described_search(kind: str) -> None:
    histogram = _histogram(DRAWS[kind](np.random.default_rng(4)))
    counts = histogram.resampled(2048)
    counts[0] = 0
    found = []
    for kept in range(127, 2049):
        levels = np.minimum(126, (2 * np.arange(kept) + 1) * 127 // (2 * kept - 1))
        found.append(_quick(counts, kept, levels) if counts[:kept].any() else math.inf)
    cut = 127 + _last_least(found)
    expected = (cut + 0.5) * histogram.maximum / 2048
    assert entropy.entropy_2_range(histogram) == pytest.approx(expected, rel=1e-12)


def test_only_noise_is_not_clipped() -> None:
    # All but the greatest value lie in the first bin, which entropy_2 discards.
    histogram = _histogram(np.array([1e-6] * 100 + [1.0]))
    assert entropy.entropy_2_range(histogram) == pytest.approx(1.0, rel=1e-3)
    assert entropy.entropy_range(histogram) == pytest.approx(1.0, rel=1e-3)


def _scale_bits(amax: float) -> str:
    return struct.pack(">f", amax / 127).hex()


@pytest.mark.parametrize("search", [entropy.entropy_range, entropy.entropy_2_range])
def test_an_input_that_is_not_clipped_has_the_scale_that_tensorrt_gives_it(
    search: Callable[[Histogram], float],
) -> None:
    # In caches that TensorRT 7, 8 and 10 wrote, inputs and probabilities up to 1 are 3c010a14, and
    # images normalized as for ImageNet, up to (1 - 0.406) / 0.225, are 3caa54fc.
    rng = np.random.default_rng(5)
    assert _scale_bits(search(_histogram(np.append(rng.random(400_000), 1.0)))) == "3c010a14"
    channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]
    images = [(np.append(rng.random(100_000), 1.0) - mean) / std for mean, std in channels]
    images.append(rng.uniform(2.2, 2.64, 40_000))  # skies
    assert _scale_bits(search(_histogram(np.concatenate(images)))) == "3caa54fc"


@pytest.mark.parametrize("search", [entropy.entropy_range, entropy.entropy_2_range])
def test_padding_with_gray_is_where_tensorrt_cuts_too(
    search: Callable[[Histogram], float],
) -> None:
    # Images for YOLO are padded with 114: a cache of TensorRT 8.6 has 3b66eddc for such an input.
    rng = np.random.default_rng(6)
    image = np.clip(rng.normal(115, 65, 200_000), 0, 255).round()
    padded = np.append(image, np.full(300_000, 114)).astype(np.float32) / np.float32(255)
    assert _scale_bits(search(_histogram(padded))) == "3b66eddc"
