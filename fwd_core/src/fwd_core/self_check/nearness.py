"""How near one array is to another, and whether that is near enough."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir.tensor import Tensor

#: Errors up to this are rounding of float32 beside numbers near 1: results that should be 0
#: differ by so much.
_ROUNDING = 1.2e-7
#: With errors up to this beside the greatest magnitude a direction is not of rounding alone.
_SAME = 1e-3
#: Greater magnitudes stand for infinity, as in masks: beside them nothing else would count.
_ENDLESS = 1e30
#: Part of the greatest magnitude that numbers have to spread over, for a cosine about their mean.
_SPREAD = 1e-4
#: Least share of integers and bools that are equal, below which it is no chance of rounding.
_EQUAL = 0.5
#: A model whose own results move by this part of what an engine is off by explains it.
_EXPLAINED = 0.25
#: Elements at once: widened to float64 they are some times as large as they are.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Needed:
    """How near results have to be.

    Attributes:
        cosine: Least cosine, and least likeness of the lengths.
        error: Greatest error beside the greatest magnitude.
        centered: Whether the cosine about the means has to be as great. Lower types round numbers
            that are near one another to one number.
    """

    cosine: float
    error: float
    centered: bool = False

    def __str__(self) -> str:
        return f"cosine {self.cosine:g} or more, error {self.error:g} of the greatest or less"


EXACT = Needed(0.999, 1e-2, centered=True)
HALF = Needed(0.99, 1e-1)
INT8 = Needed(0.9, 0.5)


@dataclass(frozen=True)
class Nearness:
    """Of one output.

    Attributes:
        types: What differs of element types and shapes, empty if nothing does.
        compared: Whether there is a number that both have finite, or an integer or bool.
        cosine: Of the angle between the two; ``None`` for single numbers, integers and zeros, and
            what differs by rounding beside 1 alone, and by much of itself.
        centered: The same of what is left without the means, where that is more than rounding.
        lengths: Length of what was got beside that of what was wanted, where there is a cosine.
        error: Greatest error beside the greatest magnitude; ``None`` for integers.
        greatest: Greatest magnitude of either.
        broken: How many numbers are infinite or NaN that should be finite.
        equal: Share of equal elements of integers and bools; ``None`` for floats.
    """

    types: str = ""
    compared: bool = True
    cosine: float | None = None
    centered: float | None = None
    lengths: float = 1.0
    error: float | None = None
    greatest: float = 0.0
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
        found = cls._of_floats(wanted, got, _ENDLESS)
        return found if found.compared else cls._of_floats(wanted, got, math.inf)

    @classmethod
    def _of_floats(cls, wanted: Tensor, got: Tensor, endless: float) -> Nearness:
        greatest, broken, sums, error = 0.0, 0, np.zeros(6), 0.0
        for one, other in _chunks(wanted, got):
            usable = _usable(one, other, endless)
            broken += int((np.isfinite(one) & (abs(one) <= endless) & ~usable).sum())
            for each in (one, other):
                greatest = max(greatest, float(np.abs(each[usable]).max(initial=0.0)))
        for one, other in _chunks(wanted, got):
            usable = _usable(one, other, endless)
            # squares would overflow
            a, b = (each[usable] / (greatest or 1.0) for each in (one, other))
            error = max(error, float(np.abs(a - b).max(initial=0.0)))
            sums += np.array([a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b])
        if not sums[0]:
            return cls(compared=False, broken=broken)
        found = cls(error=error, greatest=greatest, broken=broken)
        if found.rounding and error > _SAME:
            return found  # what is left of zeros points anywhere
        return dataclasses.replace(found, **_angles(*map(float, sums)))

    @property
    def difference(self) -> float:
        """Greatest difference of floats."""
        return (self.error or 0.0) * self.greatest

    @property
    def rounding(self) -> bool:
        """Whether all errors are as small as rounding beside numbers near 1."""
        return self.error is not None and self.difference <= _ROUNDING

    def wrong(self, needed: Needed) -> str:
        """Why this is not near enough, or nothing. Integers are left to :attr:`unequal`."""
        if self.types:
            return self.types
        if self.broken:
            return f"{self.broken} infinite or NaN, where the model's are finite"
        if self.rounding or self.error is None:
            return ""
        numbers = f"{self.difference:.3g} apart of numbers up to {self.greatest:.3g}"
        if self.cosine is not None and self.cosine < needed.cosine:
            return f"cosine {self.cosine:.6f}, {numbers}"
        # A cosine does not see a factor: this is one too, of two vectors of these lengths at 0.
        if 2 * self.lengths / (1 + self.lengths**2) < needed.cosine:
            return f"cosine {self.cosine:.6f}, but {self.lengths:.4g} times as long"
        if self.error > needed.error:
            return f"error {self.error:.3g}, {numbers}"
        if needed.centered and self.centered is not None and self.centered < needed.cosine:
            return f"cosine {self.centered:.6f} about the mean, {numbers}"
        return ""

    @property
    def unequal(self) -> str:
        """That too few integers or bools are equal, or nothing."""
        few = self.equal is not None and self.equal < _EQUAL
        return f"{self.equal:.4%} of its integers or bools are equal" if few else ""

    def explains(self, other: Nearness) -> bool:
        """Whether a model that is so far from itself explains an engine that is so far from it."""
        if other.types or self.types:
            return bool(self.types)
        if other.broken or self.broken:
            return bool(self.broken)
        if self.equal is not None and other.equal is not None:
            return 1 - self.equal >= _EXPLAINED * (1 - other.equal)
        return self.difference >= _EXPLAINED * other.difference


def summary(found: Sequence[Nearness]) -> dict[str, Any]:
    """The least and greatest of several outputs, as JSON.

    What is equal but for rounding beside 1 counts as its difference, and has no cosine.

    Example:
        >>> summary([Nearness(cosine=0.5, error=0.1, greatest=1), Nearness(equal=1.0)])
        {'cosine': 0.5, 'error': 0.1, 'equal': 1.0}
    """
    cosines = [one.cosine for one in found if one.cosine is not None]
    errors = [
        one.difference if one.rounding and one.greatest < 1 else one.error
        for one in found
        if one.error is not None
    ]
    shares = [one.equal for one in found if one.equal is not None]
    left = sum(not one.compared for one in found)
    return {
        "cosine": min(cosines, default=None),
        "error": max(errors, default=None),
        "equal": min(shares, default=None),
    } | ({"not finite": left} if left else {})


def _chunks(*tensors: Tensor) -> Iterator[list[NDArray[np.float64]]]:
    flat = [(tensor.data.reshape(-1), tensor.dtype) for tensor in tensors]
    for start in range(0, flat[0][0].size, _CHUNK):
        parts = (Tensor(data[start : start + _CHUNK], dtype) for data, dtype in flat)
        yield [part.numpy().astype(np.float64) for part in parts]


def _usable(
    one: NDArray[np.float64], other: NDArray[np.float64], endless: float
) -> NDArray[np.bool_]:
    """Where both are numbers that can be compared."""
    finite = np.isfinite(one) & np.isfinite(other)
    found: NDArray[np.bool_] = finite & (abs(one) <= endless) & (abs(other) <= endless)
    return found


def _angles(
    count: float, sum_a: float, sum_b: float, aa: float, bb: float, ab: float
) -> dict[str, Any]:
    """Cosines and likeness of lengths from sums over all elements."""
    if count < 2 or not aa or not bb:
        return {}
    made = {"cosine": min(ab / math.sqrt(aa * bb), 1.0), "lengths": math.sqrt(bb / aa)}
    spread_a, spread_b = aa - sum_a**2 / count, bb - sum_b**2 / count
    if min(spread_a, spread_b) / count > _SPREAD**2:
        across = ab - sum_a * sum_b / count
        made["centered"] = min(across / math.sqrt(spread_a * spread_b), 1.0)
    return made
