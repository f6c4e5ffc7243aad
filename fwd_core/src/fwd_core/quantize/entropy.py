"""The searches of TensorRT's entropy calibrators, as far as they are public.

Both cut a histogram after each bin in turn, write what is left with as many levels as int8 has,
and keep the cut whose levels diverge least (Kullback-Leibler) from the whole. What is cut off
counts as the last bin in the distribution that is to be met, and not at all in the levels: that
is the price of clipping.

A cut after ``i`` of 2048 bins gives the range ``i + 0.5`` bins, as the slides say and caches of
TensorRT show: an input whose greatest value is 1 has the scale 3c010a14 there, 2048.5 / 2048 / 127.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fwd_core.quantize.histogram import Counts, Floats, Histogram

#: Bins between 0 and the greatest value.
BINS = 2048
#: Divergences that differ by less are the same; the cut that clips least is taken then.
_SAME = 1e-10


def entropy_range(histogram: Histogram) -> float:
    """The search as published: S. Migacz, 8-bit inference with TensorRT, GTC 2017.

    128 levels. The slides' loop ends before the last bin; here, not to cut is a choice too. The
    first bin counts what the second does, as in NVIDIA's own open program (pytorch-quantization):
    with the zeros of a ReLU in it, it would drown all others.
    """
    counts = histogram.resampled(BINS)
    counts[0] = counts[1]
    return (_best_cut(counts, even_levels(BINS, 128)) + 0.5) * (histogram.maximum / BINS)


def entropy_2_range(histogram: Histogram) -> float:
    """The search that TensorRT does, as submissions to MLPerf Inference that use it describe it.

    127 levels, as many as there are steps between 0 and the range, that end in the middle of the
    last bin that is kept; the first bin, zeros and noise, is discarded. The descriptions do not
    say what the levels count of what is cut off: nothing, as in the slides.
    """
    counts = histogram.resampled(BINS)
    counts[0] = 0.0
    return (_best_cut(counts, centred_levels(BINS, 127)) + 0.5) * (histogram.maximum / BINS)


@lru_cache
def even_levels(bins: int, levels: int) -> Counts:
    """Where each level begins, for each cut: bin b of i is in level floor(b * levels / i)."""
    cuts = np.arange(levels, bins + 1)[:, None]
    return -(-np.arange(levels + 1) * cuts // levels)


@lru_cache
def centred_levels(bins: int, levels: int) -> Counts:
    """The same for levels that end in the middle of bin i - 1, by the middles of bins."""
    cuts = np.arange(levels, bins + 1)[:, None]
    starts = -((levels - np.arange(levels + 1) * (2 * cuts - 1)) // (2 * levels))
    starts[:, 0], starts[:, -1] = 0, cuts[:, 0]
    return starts


def divergences(counts: Floats, starts: Counts) -> Floats:
    """Divergence of each cut: row by row, ``starts`` says where its levels begin and where it ends.

    A cut is infinitely far off if it ends in an empty bin although it cuts something off: levels
    have nothing where the distribution has the clipped values.
    """
    cuts = starts[:, -1]
    below = np.concatenate([[0.0], np.cumsum(counts)])
    filled = np.concatenate([[0], np.cumsum(counts > 0)])
    total = below[-1]
    kept = below[cuts]
    last = counts[cuts - 1]
    clipped = total - kept
    sums = np.maximum(np.diff(below[starts]), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Each level is spread evenly over those of its bins that are not empty.
        levels = np.log(sums / np.diff(filled[starts]) / kept[:, None])
        sums[:, -1] += clipped
        crossed = np.where(sums > 0, sums * levels, 0.0).sum(1)
    own = np.concatenate([[0.0], np.cumsum(_x_log_x(counts))])[cuts - 1] + _x_log_x(last + clipped)
    result: Floats = (own - _x_log_x(total) - crossed) / total
    result[(last <= 0) & (clipped > 0) | (kept <= 0)] = np.inf
    return result


def _best_cut(counts: Floats, starts: Counts) -> int:
    if not counts.any():  # nothing but zeros or noise
        return int(starts[-1, -1])
    found = divergences(counts, starts)
    same = np.flatnonzero(found <= found.min() + _SAME)
    return int(starts[same[-1], -1])


def _x_log_x(values: Floats) -> Floats:
    result: Floats = values * np.log(np.where(values > 0, values, 1.0))
    return result
