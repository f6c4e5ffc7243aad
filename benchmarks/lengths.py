"""Lengths of the sequences of a padded batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lengths(batch: int, length: int, share: float) -> NDArray[np.int64]:
    """How many tokens each sequence has: drawn, with one of the full length, and of that share."""
    if share >= 1:
        return np.full(batch, length, np.int64)
    drawn = np.random.default_rng(0).random(batch)
    drawn[0] = 1.0
    wanted, power = share * batch * length, 1.0
    for _ in range(60):  # the power of the drawn numbers that gives the share
        found = np.maximum(1, np.rint(drawn**power * length))
        power *= float(found.sum() / wanted)
    return np.asarray(found, np.int64)


def kept(batch: int, length: int, share: float) -> NDArray[np.bool_]:
    """The places that are tokens, those of a sequence at its beginning."""
    found: NDArray[np.bool_] = np.arange(length) < lengths(batch, length, share)[:, None]
    return found
