"""What is said of calibrating with few values: which algorithms need many."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from fwd_core import Plugins, core_pack
from fwd_core.quantize import Histogram, algorithm_of

PLUGINS = Plugins({"core": core_pack})
DRAWS = 5


def _values(kind: str, seed: int, size: int) -> np.ndarray:
    """So many that are not 0."""
    rng = np.random.default_rng(seed)
    draw: Any = partial(rng.laplace if "laplace" in kind else rng.normal)
    if "relu" not in kind:
        return draw(size=size).astype(np.float32)
    return np.maximum(draw(size=2 * size), 0).astype(np.float32)


def _noise(algorithm: str, seen: np.ndarray, kind: str, seed: int) -> float:
    """Of quantizing many values like those that the range is found from."""
    histogram = Histogram("x")
    histogram.update(seen)
    step = algorithm_of(PLUGINS, algorithm).amax(histogram) / 127
    many = np.append(seen, _values(kind, 100 + seed, 100_000)).astype(np.float64)
    return float(((many - np.clip(np.rint(many / step), -127, 127) * step) ** 2).sum())


def _lost(algorithm: str, kind: str, size: int) -> float:
    """Decibels that an algorithm loses against ``mse``: the median of a few draws."""
    found = []
    for seed in range(DRAWS):
        seen = _values(kind, seed, size)
        ratio = _noise(algorithm, seen, kind, seed) / _noise("mse", seen, kind, seed)
        found.append(10 * np.log10(ratio))
    return float(np.median(found))


@pytest.mark.parametrize("kind", ["gauss", "laplace", "gauss relu", "laplace relu"])
def test_entropy_searches_clip_too_much_of_few_values(kind: str) -> None:
    assert 2 < _lost("entropy_2", kind, 2000) < 8
    assert abs(_lost("entropy_2", kind, 50_000)) < 1
    assert abs(_lost("minmax", kind, 2000)) < 0.5
