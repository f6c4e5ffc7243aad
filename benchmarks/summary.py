"""Numbers of a benchmark from its samples; needs no framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from fwd_core.quantize.fidelity import Fidelity


def ratio(ours: Any, theirs: Any) -> list[float]:
    """Median of the ratios round by round, with the bounds of its 95 % bootstrap interval."""
    ratios = np.asarray(ours) / np.asarray(theirs)
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return [float(np.median(ratios)), float(low), float(high)]


def difference(result: Any, expected: Any) -> tuple[float, float]:
    """Greatest error relative to the greatest value, and cosine similarity."""
    a = np.asarray(result, np.float64).ravel()
    b = np.asarray(expected, np.float64).ravel()
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return float(np.abs(a - b).max() / np.abs(b).max()), cosine


def sqnr(result: Any, expected: Any) -> float:
    """Signal to quantization noise in dB; infinite where nothing differs."""
    found = Fidelity()
    found.add(np.asarray(expected), np.asarray(result))
    return found.sqnr


def latencies(seconds: Any) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds, and how many samples there were."""
    samples = np.asarray(seconds, np.float64) * 1e3
    return {
        "median_ms": float(np.median(samples)),
        "p99_ms": float(np.percentile(samples, 99)),
        "samples": len(samples),
    }
