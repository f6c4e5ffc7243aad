"""The search of TensorRT's entropy calibrators.

It cuts a histogram after each bin in turn, writes what is left with as many levels as int8 has,
and keeps the cut whose levels diverge least (Kullback-Leibler) from the whole. What is cut off
counts as the last bin in the distribution that is to be met, and not at all in the levels: that
is the price of clipping.

So S. Migacz's slides have it (8-bit inference with TensorRT, GTC 2017), and so both of TensorRT
8.6's entropy calibrators do, to the bin, on all tensors of a ResNet-50 but for one near tie:
2048 bins up to the first batch's greatest value, doubled as often as need be, zeros left out, 128
levels, and a range of ``i + 0.5`` bins for a cut after ``i``. Three things are ours:

- No range ends further above the greatest value than where all 2048 bins lie below it: half of
  one. TensorRT may cut among the empty bins that a doubling brings, which makes steps coarser for
  nothing.
- A cut that keeps values in one bin alone and clips others is none: levels meet that bin exactly,
  whatever is lost. TensorRT shuns such a cut too; how is not known.
- The first bin counts what the second does, as in NVIDIA's open pytorch-quantization: noise about
  zero would drown all others. Where it was compared, that changed nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fwd_core.quantize.histogram import Counts, Floats, Histogram

#: Bins of the search, and levels that it writes.
BINS, LEVELS = 2048, 128
#: Divergences that differ by less are the same; the cut that clips least is taken then.
_SAME = 1e-10


def entropy_range(histogram: Histogram) -> float:
    """The range of the best cut; not to cut is a choice too."""
    counts = histogram.counts.reshape(BINS, -1).sum(1).astype(np.float64)
    counts[0] = counts[1]
    width = histogram.width * (len(histogram.counts) // BINS)
    cut = _best_cut(counts, even_levels(BINS, LEVELS))
    return min((cut + 0.5) * width, histogram.maximum * (1 + 0.5 / BINS))


@lru_cache
def even_levels(bins: int, levels: int) -> Counts:
    """Where each level begins, for each cut: bin b of i is in level floor(b * levels / i)."""
    cuts = np.arange(levels, bins + 1)[:, None]
    return -(-np.arange(levels + 1) * cuts // levels)


def divergences(counts: Floats, starts: Counts) -> Floats:
    """Divergence of each cut: row by row, ``starts`` says where its levels begin and where it ends.

    A cut that clips something is infinitely far off if it ends in an empty bin, for levels have
    nothing where the distribution has the clipped values, and if only its last bin is not empty.
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
    result[((last <= 0) | (filled[cuts] <= 1)) & (clipped > 0) | (kept <= 0)] = np.inf
    return result


def _best_cut(counts: Floats, starts: Counts) -> int:
    if not counts.any():  # nothing but noise
        return int(starts[-1, -1])
    found = divergences(counts, starts)
    same = np.flatnonzero(found <= found.min() + _SAME)
    return int(starts[same[-1], -1])


def _x_log_x(values: Floats) -> Floats:
    result: Floats = values * np.log(np.where(values > 0, values, 1.0))
    return result
