"""Which range a tensor gets, from how its values are spread. Packs add algorithms by hook."""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from fwd_core.errors import CalibrationError, OptionError
from fwd_core.quantize import entropy
from fwd_core.quantize.histogram import Counts, Floats, Histogram

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins

ENTROPY_CALIBRATION = "entropy"
ENTROPY_CALIBRATION_2 = "entropy_2"
MINMAX_CALIBRATION = "minmax"
PERCENTILE_CALIBRATION = "percentile"
MSE_CALIBRATION = "mse"

#: Further names: Tencent's Forward took this one.
ALIASES = {"legacy": ENTROPY_CALIBRATION}
#: Steps between 0 and the range.
_STEPS = 127
_DEFAULT_PERCENTILE = 99.99
#: Of fewer values, most of the 2048 bins that the entropy searches cut among are empty, and they
#: clip more than ``mse`` does: a test compares the two on normal and Laplace numbers.
_LEAST_VALUES = 10_000


class Algorithm(ABC):
    """Chooses the range of a tensor.

    Attributes:
        name: What users call it, and what a cache of its ranges says.
        least_values: How many values that are not 0 a tensor must have had; of fewer, users are
            warned that the range may be a bad one.
    """

    name: str
    least_values: int = 0

    @abstractmethod
    def range_of(self, histogram: Histogram) -> float:
        """The range, ``amax``, above 0.

        Args:
            histogram: What was collected; at least one value of it is not zero.
        """

    def configured(self, text: str) -> Algorithm:
        """This algorithm with what stands behind ``=`` in ``percentile=99.9``.

        Raises:
            OptionError: It has no such setting.
        """
        raise OptionError(
            f"calibration algorithm {self.name!r} has no setting",
            expected=self.name,
            got=f"{self.name}={text}",
        )

    def amax(self, histogram: Histogram) -> float:
        """The range, checked; 0 for a tensor that has never been anything but 0.

        Raises:
            CalibrationError: No value was collected, or :meth:`range_of` fails or gives no range.
        """
        if not histogram.count:
            raise CalibrationError(
                f"no value of tensor {histogram.name!r} was collected",
                hint="calibrate with batches that are not empty",
            )
        if not histogram.maximum:
            return 0.0
        try:
            found = float(self.range_of(histogram))
        except Exception as error:  # a stranger's algorithm may raise anything
            raise CalibrationError(
                f"calibration algorithm {self.name!r} failed for tensor {histogram.name!r}",
                details=[f"{type(error).__name__}: {error}"],
                hint="choose another algorithm, and report this to whoever wrote this one",
            ) from error
        if not (math.isfinite(found) and found > 0):
            raise CalibrationError(
                f"calibration algorithm {self.name!r} gives no range of tensor {histogram.name!r}",
                expected="a finite number above 0",
                got=found,
                hint="choose another algorithm, and report this to whoever wrote this one",
            )
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Entropy(Algorithm):
    """The search of TensorRT's entropy calibrators: :mod:`fwd_core.quantize.entropy` tells it."""

    name = ENTROPY_CALIBRATION
    least_values = _LEAST_VALUES

    def range_of(self, histogram: Histogram) -> float:
        """The cut that loses least information."""
        return entropy.entropy_range(histogram)


class Entropy2(Entropy):
    """The same search: TensorRT 8.6's two calibrators differ in what they calibrate, not in it."""

    name = ENTROPY_CALIBRATION_2
    least_values = _LEAST_VALUES


class MinMax(Algorithm):
    """The greatest magnitude: nothing is clipped."""

    name = MINMAX_CALIBRATION

    def range_of(self, histogram: Histogram) -> float:
        """The greatest magnitude, exactly."""
        return histogram.maximum


class Percentile(Algorithm):
    """What a part of all values, zeros with them, do not exceed.

    A tensor that holds more zeros than that keeps its greatest magnitude.

    Args:
        percent: Above 1, at most 100. At 100 it is ``minmax``.

    Raises:
        OptionError: It is not; a number up to 1 is a fraction where a percentage is wanted.
    """

    def __init__(self, percent: float = _DEFAULT_PERCENTILE) -> None:
        if not 1 < percent <= 100:
            meant = f"{100 * percent:g}, not {percent:g}" if 0 < percent <= 1 else None
            raise OptionError(
                "calibration algorithm 'percentile' cannot clip there",
                expected="a percentage, above 1 and at most 100",
                got=percent,
                hint=f"percentages, not fractions: {meant}"
                if meant
                else f"the usual one is {_DEFAULT_PERCENTILE}",
            )
        self.percent = float(percent)
        self.name = PERCENTILE_CALIBRATION
        if percent != _DEFAULT_PERCENTILE:
            self.name += f"={self.percent!r}"

    def configured(self, text: str) -> Percentile:
        """``99.9`` of ``percentile=99.9``."""
        try:
            return Percentile(float(text))
        except ValueError:
            raise OptionError(
                "calibration algorithm 'percentile' takes a number",
                expected=f"such as percentile={_DEFAULT_PERCENTILE}",
                got=f"percentile={text}",
            ) from None

    def range_of(self, histogram: Histogram) -> float:
        """Where the bin ends in which the percentile lies."""
        wanted = min(histogram.count, math.ceil(histogram.count * (self.percent / 100)))
        if wanted <= histogram.zeros:
            return histogram.maximum
        reached = histogram.zeros + np.cumsum(histogram.counts)
        return float(histogram.edges[1 + int(np.searchsorted(reached, wanted))])


class Mse(Algorithm):
    """The range that makes the mean squared error of quantizing least.

    2048 ranges up to the greatest value are tried, those left out that have finer steps than the
    histogram has bins. Each bin's values are taken to lie in its middle.
    """

    name = MSE_CALIBRATION

    def range_of(self, histogram: Histogram) -> float:
        """The best of the ranges, the greatest if several are as good."""
        top = histogram.maximum / histogram.width if histogram.width else 0.0
        if top < _STEPS:  # so small that float64 hardly holds it
            return histogram.maximum
        tried: Floats = np.arange(1.0, 2049.0) * (top / 2048)
        tried = tried[tried >= _STEPS]
        errors = squared_errors(histogram.counts, tried)
        least = errors.min()
        best = int(np.flatnonzero(errors <= least + 1e-9 * abs(least))[-1])
        return min(histogram.maximum, float(tried[best]) * histogram.width)


def squared_errors(counts: Counts, tried: Floats) -> Floats:
    """Sum of squared errors of each range that is tried; everything in units of bins."""
    middles = np.arange(len(counts)) + 0.5
    # Sums of 1, x and x² up to each bin: a level's error is that of three differences.
    powers = np.stack([np.ones_like(middles), middles, middles**2])
    moments = np.zeros((3, len(counts) + 1))
    np.cumsum(counts * powers, axis=1, out=moments[:, 1:])
    step = tried[:, None] / _STEPS
    levels = np.arange(_STEPS + 1)
    starts = np.ceil((levels - 0.5) * step - 0.5).clip(0, len(counts)).astype(np.intp)
    ends = np.concatenate([starts[:, 1:], np.full((len(tried), 1), len(counts))], axis=1)
    zeroth, first, second = (sums[ends] - sums[starts] for sums in moments)
    at = levels * step
    result: Floats = (second - 2 * at * first + at**2 * zeroth).sum(1)
    return result


def built_in() -> tuple[Algorithm, ...]:
    """The core's own algorithms."""
    return Entropy(), Entropy2(), MinMax(), Percentile(), Mse()


def algorithm_of(plugins: Plugins, wanted: str | Algorithm) -> Algorithm:
    """The algorithm that a name means: ``entropy_2``, ``percentile=99.9``, ``legacy``.

    Raises:
        OptionError: No installed pack has it, or it has no such setting.
    """
    if isinstance(wanted, Algorithm):
        return wanted
    known = plugins.algorithms
    name, setting, value = str(wanted).partition("=")
    name = ALIASES.get(name, name)
    if name not in known:
        close = difflib.get_close_matches(name, [*known, *ALIASES], 1)
        raise OptionError(
            f"unknown calibration algorithm {wanted!r}",
            expected=f"one of {', '.join([*known, *ALIASES])}",
            got=repr(wanted),
            hint=f"did you mean {close[0]!r}?" if close else "`fwd plugins` lists packs and theirs",
        )
    return known[name].configured(value) if setting else known[name]
