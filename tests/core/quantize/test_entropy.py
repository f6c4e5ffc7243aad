"""The search against its definition, written as loops, bin by bin."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.quantize import Histogram, entropy


def _divergence(counts: list[float], kept: int, levels: int) -> float:
    """KL divergence of the quantized from the clipped distribution."""
    if any(counts[kept:]) and sum(count > 0 for count in counts[:kept]) < 2:
        return math.inf  # nothing that levels could write worse
    reference = list(counts[:kept])
    reference[-1] += sum(counts[kept:])
    sums, filled = [0.0] * levels, [0] * levels
    for index in range(kept):
        if counts[index] > 0:
            level = index * levels // kept
            sums[level] += counts[index]
            filled[level] += 1
    spread = [0.0] * kept
    for index in range(kept):
        if counts[index] > 0:
            level = index * levels // kept
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


@given(COUNTS, st.integers(2, 8))
def test_divergences_are_those_of_the_definition(counts: list[float], levels: int) -> None:
    found = entropy.divergences(np.array(counts), entropy.even_levels(len(counts), levels))
    expected = [_divergence(counts, kept, levels) for kept in range(levels, len(counts) + 1)]
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert found[-1] < math.inf


@given(st.integers(1, 12), st.integers(0, 60))
def test_levels_are_those_of_the_definition(levels: int, more: int) -> None:
    bins = levels + more
    starts = entropy.even_levels(bins, levels)
    for row, kept in zip(starts, range(levels, bins + 1), strict=True):
        of_bin = [index * levels // kept for index in range(kept)]
        assert np.diff(row).tolist() == [of_bin.count(level) for level in range(levels)]


DRAWS = {
    "gauss": lambda rng: rng.normal(size=50_000),
    "laplace": lambda rng: rng.laplace(size=50_000),
    "uniform": lambda rng: rng.uniform(-1, 1, 50_000),
    "relu": lambda rng: np.maximum(rng.normal(size=50_000), 0),
    "outlier": lambda rng: np.append(rng.normal(size=50_000), 40.0),
    "bytes": lambda rng: rng.integers(0, 256, 50_000) / 255,
    "one value": lambda rng: np.full(9, 0.3),
}


def _histogram(*batches: np.ndarray) -> Histogram:
    histogram = Histogram("x")
    for batch in batches:
        histogram.update(batch)
    return histogram


def _quick(counts: np.ndarray, kept: int) -> float:
    """The same divergence, by one cut at a time in NumPy: 2048 bins are many for loops."""
    level_of = np.arange(kept) * 128 // kept
    reference, held = counts[:kept].copy(), counts[:kept] > 0
    if (held.sum() < 2 and counts[kept:].any()) or not held.any():
        return math.inf
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


def _searched(first: np.ndarray, *others: np.ndarray) -> float:
    """The range, from the values themselves."""
    values = np.abs(np.concatenate([first, *others]))
    end = np.abs(first).max()
    while end < values.max():
        end *= 2
    width = end / 2048
    bins = np.ceil(values[values > 0] / width).astype(int) - 1
    counts = np.bincount(bins, minlength=2048).astype(float)
    counts[0] = counts[1]
    cut = 128 + _last_least([_quick(counts, kept) for kept in range(128, 2049)])
    return float(min((cut + 0.5) * width, values.max() * (2048.5 / 2048)))


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("sizes", [(1,), (0.9, 1), (0.55, 0.3, 1)])
def test_entropy_is_the_published_search(kind: str, sizes: tuple[float, ...]) -> None:
    values = DRAWS[kind](np.random.default_rng(3))
    batches = [values * size for size in sizes]
    expected = pytest.approx(_searched(*batches), rel=1e-12)
    assert entropy.entropy_range(_histogram(*batches)) == expected


def test_nothing_above_what_was_seen_is_a_range() -> None:
    # The range doubles to 1.02, and cuts among the bins from 0.6 on clip nothing.
    rng = np.random.default_rng(4)
    amax = entropy.entropy_range(_histogram(rng.uniform(0, 0.51, 90_000), np.array([0.6])))
    assert amax <= 0.6 * (2048.5 / 2048)


def test_a_cut_that_keeps_one_bin_alone_is_none() -> None:
    # Means lie far from zero, so that the least of them may have a bin of its own.
    rng = np.random.default_rng(5)
    amax = entropy.entropy_range(_histogram(np.append(rng.normal(0.5, 0.05, 60_000), [0.07, 1.0])))
    assert amax > 0.6


def test_only_noise_is_not_clipped() -> None:
    # All but the greatest value lie in the first bin, which counts as the second.
    histogram = _histogram(np.array([1e-6] * 100 + [1.0]))
    assert entropy.entropy_range(histogram) == pytest.approx(1.0, rel=1e-3)


def _scale_bits(amax: float) -> str:
    return struct.pack(">f", amax / 127).hex()


def test_an_input_that_is_not_clipped_has_the_scale_that_tensorrt_gives_it() -> None:
    # In caches that TensorRT 7, 8 and 10 wrote, inputs and probabilities up to 1 are 3c010a14, and
    # images normalized as for ImageNet, up to (1 - 0.406) / 0.225, are 3caa54fc.
    rng = np.random.default_rng(5)
    histogram = _histogram(np.append(rng.random(400_000), 1.0))
    assert _scale_bits(entropy.entropy_range(histogram)) == "3c010a14"
    channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]
    images = [(np.append(rng.random(100_000), 1.0) - mean) / std for mean, std in channels]
    images.append(rng.uniform(2.2, 2.64, 40_000))  # skies
    assert _scale_bits(entropy.entropy_range(_histogram(np.concatenate(images)))) == "3caa54fc"


def test_padding_with_gray_is_where_tensorrt_cuts_too() -> None:
    # Images for YOLO are padded with 114: a cache of TensorRT 8.6 has 3b66eddc for such an input.
    rng = np.random.default_rng(6)
    image = np.clip(rng.normal(115, 65, 200_000), 0, 255).round()
    padded = np.append(image, np.full(300_000, 114)).astype(np.float32) / np.float32(255)
    assert _scale_bits(entropy.entropy_range(_histogram(padded))) == "3b66eddc"
