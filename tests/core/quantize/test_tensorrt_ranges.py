"""Entropy ranges against those that TensorRT's own calibrators found in the same data.

``tensorrt_8_6.npz`` holds 30 of the 174 tensors of the benchmark's ResNet-50 over its first 32
images, one a batch: counts of 2048 bins, and what TensorRT 8.6.0 on an H200 found. They are one in
nine, and all that differ by more than rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fwd_core import Plugins, core_pack
from fwd_core.quantize import Histogram, algorithm_of

BINS = 2048
PLUGINS = Plugins({"core": core_pack})
#: TensorRT gives what a pooling layer picks out the range of what it picks from.
POOLED = {"embedder.pooler/max_pool2d": "embedder.embedder.activation/relu"}
#: Two cuts whose divergences are 1.2211e-4 and 1.2216e-4: TensorRT's calibrators took one each.
EQUAL = {"entropy": "encoder.stages.2.layers.0.layer.2.convolution/_convolution"}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    with np.load(Path(__file__).with_name("tensorrt_8_6.npz")) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def histograms(found: Mapping[str, Any]) -> dict[str, Histogram]:
    columns = (found[key] for key in ("names", "counts", "width", "maximum"))
    return {str(name): _seen(*rest) for name, *rest in zip(*columns, strict=True)}


def _seen(counts: np.ndarray, width: float, maximum: float) -> Histogram:
    """The histogram of values that lie in these bins."""
    end = BINS * width
    first = end if maximum > end * 0.999 else end / 2  # greatest of the first image
    histogram, left = Histogram(), counts.astype(int)
    for value in dict.fromkeys((first, maximum)):
        histogram.update(np.array([value]))
        left[int(np.ceil(value / width)) - 1] -= 1
    histogram.update(np.repeat((np.arange(BINS, dtype=np.float32) + 0.5) * width, left))
    assert histogram.width * len(histogram.counts) == end
    return histogram


@pytest.mark.parametrize("algorithm", ["entropy", "entropy_2"])
def test_ranges_are_those_of_tensorrt(
    algorithm: str, found: Mapping[str, Any], histograms: Mapping[str, Histogram]
) -> None:
    chosen, above = algorithm_of(PLUGINS, algorithm), 0
    theirs = dict(zip(histograms, found[algorithm].astype(float) * 127, strict=True))
    for name, histogram in histograms.items():
        if name in POOLED:
            assert theirs[name] == theirs[POOLED[name]]
        elif name != EQUAL.get(algorithm):
            greatest = histogram.maximum * (1 + 0.5 / BINS)
            above += theirs[name] > greatest
            # Bins are 4e-4 and more of a range apart: every cut is after the same bin.
            assert chosen.amax(histogram) == pytest.approx(min(theirs[name], greatest), rel=1e-4)
    assert above == 5  # where TensorRT cuts among empty bins
