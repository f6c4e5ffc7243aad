"""How near results are to those of float32: signal to noise, and the angle between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def decibels(signal: float, noise: float) -> float:
    """Ten times the logarithm of a ratio of powers; infinite without noise.

    Example:
        >>> decibels(100.0, 1.0)
        20.0
    """
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


class Fidelity:
    """Compares arrays with exact ones, over all outputs and batches together.

    Elements that are the same infinity or both NaN are left out; where only one is, the noise is
    infinite.

    Example:
        >>> found = Fidelity()
        >>> found.add(np.array([3.0, 4.0]), np.array([3.0, 4.5]))
        >>> found.sqnr
        20.0
    """

    def __init__(self) -> None:
        self.signal = self.noise = self._product = self._power = 0.0

    def add(self, exact: NDArray[Any], found: NDArray[Any]) -> None:
        """Take one array and what it should be."""
        ref, got = exact.astype(np.float64).ravel(), found.astype(np.float64).ravel()
        if not (usable := np.isfinite(ref) & np.isfinite(got)).all():
            same = (ref == got) | (np.isnan(ref) & np.isnan(got))
            if not (usable | same).all():
                self.noise = math.inf
            ref, got = ref[usable], got[usable]
        error = ref - got
        self.signal += float(ref @ ref)
        self.noise += float(error @ error)
        self._product += float(ref @ got)
        self._power += float(got @ got)

    @property
    def sqnr(self) -> float:
        """10 log10(sum(exact²) / sum((exact - found)²)), in dB."""
        return decibels(self.signal, self.noise) if self.noise != math.inf else -math.inf

    @property
    def cosine(self) -> float:
        """Of the angle between the two; 1 if both are 0."""
        scale = math.sqrt(self.signal) * math.sqrt(self._power)
        if not scale:
            return 1.0 if self.signal == self._power else 0.0
        return self._product / scale
