"""How near one array is to another, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwd_core.ir.tensor import Tensor

#: Errors up to this are rounding of float32 beside numbers near 1: results that should be 0
#: differ by so much.
_ROUNDING = 1.2e-7
#: How far two runs of one model differ, by the order of its sums.
_NOISE = 1e-3


@dataclass(frozen=True)
class Needed:
    """How near results have to be.

    Attributes:
        cosine: Least cosine, and least likeness of the lengths.
        error: Greatest error beside the greatest magnitude, where a cosine says nothing.
    """

    cosine: float
    error: float

    def __str__(self) -> str:
        return f"cosine {self.cosine:g} or more; of single numbers, error {self.error:g} or less"


EXACT = Needed(0.999, 1e-2)
HALF = Needed(0.99, 1e-1)
INT8 = Needed(0.9, 0.5)


@dataclass(frozen=True)
class Nearness:
    """Of one output.

    Attributes:
        types: What differs of element types and shapes, empty if nothing does.
        cosine: Of the angle between the two; ``None`` for single numbers, integers and zeros.
        lengths: Length of what was got beside that of what was wanted, where there is a cosine.
        error: Greatest error beside the greatest magnitude; ``None`` for integers.
        rounding: Whether all errors are as small as rounding beside numbers near 1.
        broken: How many numbers are infinite or NaN that should be finite.
        equal: Share of equal elements of integers and bools; ``None`` for floats.
    """

    types: str = ""
    cosine: float | None = None
    lengths: float = 1.0
    error: float | None = None
    rounding: bool = False
    broken: int = 0
    equal: float | None = None

    @classmethod
    def of(cls, wanted: Tensor, got: Tensor) -> Nearness:
        """Compare; floats in float64, where both are finite."""
        if wanted.type != got.type:
            return cls(types=f"{got.type}, and the model's is {wanted.type}")
        if not wanted.data.size:
            return cls()
        if not wanted.dtype.is_float:
            return cls(equal=float(np.mean(wanted.data == got.data)))
        one, other = (each.numpy().astype(np.float64).ravel() for each in (wanted, got))
        finite = np.isfinite(one)
        usable = finite & np.isfinite(other)
        broken = int((finite & ~usable).sum())
        one, other = one[usable], other[usable]
        if not one.size:
            return cls(broken=broken)
        greatest = float(max(np.abs(one).max(), np.abs(other).max()))
        one, other = one / (greatest or 1.0), other / (greatest or 1.0)  # squares would overflow
        error = float(np.abs(one - other).max())
        cosine, lengths = None, 1.0
        length, got_length = float(np.sqrt(one @ one)), float(np.sqrt(other @ other))
        if one.size > 1 and length and got_length:
            cosine = min(float(one @ other) / (length * got_length), 1.0)
            lengths = got_length / length
        rounding = error * greatest <= _ROUNDING
        return cls("", cosine, lengths, error, rounding, broken)

    def wrong(self, needed: Needed) -> str:
        """Why this is not near enough, or nothing."""
        if self.types:
            return self.types
        if self.broken:
            return f"{self.broken} infinite or NaN, where the model's are finite"
        if self.rounding:
            return ""
        if self.cosine is None:
            far = self.error is not None and self.error > needed.error
            return f"error {self.error:.3g} of the greatest magnitude" if far else ""
        if self.cosine < needed.cosine:
            return f"cosine {self.cosine:.6f}"
        # A cosine does not see a factor: this is one too, of two vectors of these lengths at 0.
        if 2 * self.lengths / (1 + self.lengths**2) < needed.cosine:
            return f"cosine {self.cosine:.6f}, but {self.lengths:.4g} times as long"
        return ""

    @property
    def is_noise(self) -> bool:
        """Whether one model may give both, by the order of its sums."""
        if self.types or self.broken:
            return False
        near = self.rounding or (self.error or 0.0) <= _NOISE
        return near and self.equal in (None, 1.0)


def summary(found: Sequence[Nearness]) -> dict[str, Any]:
    """The least and greatest of several outputs, as JSON.

    Example:
        >>> summary([Nearness(cosine=0.5, error=0.1), Nearness(equal=1.0)])
        {'cosine': 0.5, 'error': 0.1, 'equal': 1.0}
    """
    cosines = [one.cosine for one in found if one.cosine is not None]
    errors = [one.error for one in found if one.error is not None]
    shares = [one.equal for one in found if one.equal is not None]
    return {
        "cosine": min(cosines, default=None),
        "error": max(errors, default=None),
        "equal": min(shares, default=None),
    }
