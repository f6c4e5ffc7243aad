"""How the magnitudes of one tensor are spread, collected as its values come, in bounded memory."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import CalibrationError

#: Bins of every histogram. At least half of them lie below the greatest value.
BINS = 8192
_SHIFT = BINS.bit_length() - 1
#: Values that are binned at a time: their copies stay in the processor's cache.
_CHUNK = 1 << 15
#: The least range: bins of it are still whole float64.
_LEAST = 2.0**-960

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]


class Histogram:
    """Counts of ``|x|`` over all values that a tensor has taken.

    The range begins as the greatest value of the first batch that is not all zeros, cut into
    :data:`BINS` equal bins, each open on the left and closed on the right; exact zeros have a
    count of their own. When a greater value comes, the range doubles and neighbouring bins merge,
    as in TensorRT's calibrators. Doubling rounds nothing, so the result is the same, bit for bit,
    in whatever order and batches the values come after the first batch.

    Args:
        name: The tensor's name, for error texts.

    Attributes:
        count: How many values were seen, with zeros.
        zeros: How many of them were zero.
        maximum: The greatest magnitude, exactly; 0 if none was seen.

    Example:
        >>> import numpy as np
        >>> seen = Histogram("relu1")
        >>> seen.update(np.array([[0.0, 0.5], [-2.0, 1.0]], np.float32))
        >>> seen.update(np.array([3.0, 0.0]))
        >>> seen.count, seen.zeros, seen.maximum, seen.range
        (6, 2, 3.0, 4.0)
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.count = 0
        self.maximum = 0.0
        self._first = 0.0  # width of the first batch's bins
        self._doublings = 0
        self._counts: Counts = np.zeros(BINS + 1, np.int64)

    @property
    def zeros(self) -> int:
        """How many of the values were zero."""
        return int(self._counts[0])

    @property
    def range(self) -> float:
        """Where the last bin ends: the first batch's greatest value, doubled as often as need be.

        0 if only zeros were seen.
        """
        return self.width * BINS

    @property
    def width(self) -> float:
        """How wide each bin is; 0 if only zeros were seen."""
        return math.ldexp(self._first, self._doublings)

    @property
    def counts(self) -> Counts:
        """How many values each bin holds, zeros left out. Do not write to it."""
        return self._counts[1:]

    @property
    def edges(self) -> Floats:
        """The :data:`BINS` + 1 edges of the bins; those beyond the greatest value are moved to it.

        Bin ``i`` holds the values in ``(edges[i], edges[i + 1]]``.
        """
        with np.errstate(over="ignore"):  # where a range ends that float64 just holds
            edges: Floats = np.arange(BINS + 1, dtype=np.float64) * self.width
        return np.minimum(edges, self.maximum, out=edges)

    def update(self, array: Array) -> None:
        """Count the values of an array of any shape, of a float dtype.

        Raises:
            CalibrationError: The array holds NaN or infinity, or is not of a float dtype. Nothing
                of it is counted.
        """
        array = np.asarray(array)
        if array.dtype.name == "bfloat16":  # NumPy knows it as a stranger's type
            array = array.astype(np.float32)
        if array.dtype.kind != "f":
            raise CalibrationError(
                f"cannot collect the range of {self._title()}",
                expected="an array of floats",
                got=f"dtype {array.dtype}",
                hint="only float tensors are quantized: collect those",
            )
        if array.dtype.itemsize > 8:
            array = array.astype(np.float64)
        flat = array.ravel(order="K")
        before = self.count, self.maximum, self._first, self._doublings, self._counts.copy()
        try:
            if not self._first and flat.size:
                self._begin(max(float(flat.max()), -float(flat.min())))
            for start in range(0, flat.size, _CHUNK):
                self._take(flat[start : start + _CHUNK])
        except CalibrationError:
            self.count, self.maximum, self._first, self._doublings, self._counts = before
            raise

    def merge(self, other: Histogram) -> None:
        """Count what another histogram has counted, as if this one had seen its values after.

        If their first batches had other greatest values, the other's bins are cut: where they end
        may differ by one bin of the other from where the values would have been counted.
        """
        counts = other._counts.copy()
        if not self._first:
            self._first, self._doublings = other._first, other._doublings
        elif other._first == self._first:
            self._grow(other._doublings)
            counts = _halved(counts, self._doublings - other._doublings)
        elif other._first:
            self._hold(other.maximum)
            below = np.concatenate([[0], np.cumsum(other.counts)])
            step = min(self.width / other.width, BINS)
            at = np.interp(np.arange(BINS + 1) * step, np.arange(BINS + 1), below)
            at[-1] = below[-1]
            counts[1:] = np.diff(np.rint(at))
        self._counts = self._counts + counts
        self.count += other.count
        self.maximum = max(self.maximum, other.maximum)

    def resampled(self, bins: int) -> Floats:
        """Counts over ``bins`` equal bins from 0 to the greatest value, zeros left out.

        A bin that is cut is taken to hold its values evenly, so these counts may be fractions.
        """
        below = np.concatenate([[0], np.cumsum(self.counts)])
        # In units of bins, so that no difference is too small for float64.
        top = self.maximum / self.width if self.width else 0.0
        edges = np.minimum(np.arange(BINS + 1), top)
        at: Floats = np.interp(np.linspace(0.0, top, bins + 1), edges, below)
        at[-1] = below[-1]
        return np.diff(at)

    def __repr__(self) -> str:
        title = f"{self.name!r}, " if self.name else ""
        return f"<Histogram {title}{self.count} values, greatest {self.maximum:g}>"

    def _begin(self, greatest: float) -> None:
        """Let the range be that of the first values; ``_take`` refuses what is not finite."""
        if greatest and math.isfinite(greatest):
            self._first = math.ldexp(max(greatest, _LEAST), -_SHIFT)

    def _take(self, values: Array) -> None:
        magnitudes = np.abs(values)
        top = float(magnitudes.max())
        if not math.isfinite(top):
            self._refuse(values)
        self.count += values.size
        if not self._first:  # it begins with the first value that is not zero
            self._counts[0] += values.size
            return
        self._hold(top)
        self.maximum = max(self.maximum, top)
        # Of float32, no quotient that is not whole rounds to a whole number in float64.
        bins = np.divide(magnitudes, self.width, dtype=np.float64)
        if self.width > 1.0:  # what float64 rounds to zero lies in the first bin
            bins[(bins == 0) & (magnitudes != 0)] = 0.5
        np.ceil(bins, out=bins)
        self._counts += np.bincount(bins.astype(np.intp), minlength=BINS + 1)

    def _hold(self, greatest: float) -> None:
        """Double the range until it holds a value."""
        doublings = self._doublings
        while greatest / BINS > math.ldexp(self._first, doublings):
            doublings += 1
        self._grow(doublings)

    def _grow(self, doublings: int) -> None:
        if doublings > self._doublings:
            self._counts = _halved(self._counts, doublings - self._doublings)
            self._doublings = doublings

    def _refuse(self, values: Array) -> None:
        nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        found = " and ".join(
            f"{number} times {what}"
            for number, what in ((nan, "NaN"), (infinite, "infinity"))
            if number
        )
        raise CalibrationError(
            f"cannot collect the range of {self._title()}",
            expected="finite values",
            got=found,
            hint="run the model in float32 on this batch to see where they come from, then mend "
            "the data, or leave this tensor in float",
        )

    def _title(self) -> str:
        return f"tensor {self.name!r}" if self.name else "a tensor"


def _halved(counts: Counts, times: int) -> Counts:
    """Counts by bin after the range has doubled so many times; zeros stay apart."""
    for _ in range(min(times, _SHIFT)):
        merged = np.zeros_like(counts)
        merged[0] = counts[0]
        merged[1 : BINS // 2 + 1] = counts[1::2] + counts[2::2]
        counts = merged
    return counts
