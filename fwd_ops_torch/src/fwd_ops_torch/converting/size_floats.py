"""Floats that are computed of a dynamic size, and the sizes that they are rounded to.

``int(height * 0.5)`` is computed in floating point, whose rounding no expression of sizes has. But
a size has a known range: every value of it is tried, and an expression that is right for all of
them is right.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Dim
from fwd_core.ir.dims import bounds, minimum

Rounding = Literal["floor", "ceil", "trunc", "round"]
Numbers = NDArray[np.floating[Any]]
#: Ranges of up to so many sizes are tried.
_MOST_TRIED = 1 << 16
#: What a factor stands for: 0.7 for seven tenths.
_DENOMINATOR = 1024
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}


def _same(numbers: Numbers) -> Numbers:
    return numbers


@dataclass(frozen=True)
class SizeFloat:
    """The float ``ratio * size + offset``, as it is computed step by step.

    Attributes:
        size: The dynamic size.
        ratio: What it is multiplied by.
        offset: What is added.
        dtype: The type that it is computed in: float64 for Python's numbers.
        compute: The number, of every value of the size as a float.
    """

    size: Dim
    ratio: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    dtype: type[np.floating[Any]] = np.float64
    compute: Callable[[Numbers], Numbers] = _same

    def combined(self, name: str, number: float, *, reverse: bool = False) -> SizeFloat | None:
        """The result of ``add``, ``sub``, ``mul`` or ``div`` with a number, or ``None``.

        Args:
            name: The operator.
            number: The second operand; finite.
            reverse: Whether the number is the first operand.
        """
        if not np.isfinite(number) or (name == "div" and (reverse or number == 0)):
            return None
        exact = Fraction(number).limit_denominator(_DENOMINATOR)
        if name == "div" and exact == 0:
            return None
        function, before, own = _ARITHMETIC[name], self.compute, self.dtype(number)
        if name in ("mul", "div"):
            ratio, offset = function(self.ratio, exact), function(self.offset, exact)
        else:
            sign = -1 if reverse and name == "sub" else 1
            ratio, offset = self.ratio * sign, sign * function(self.offset, exact)

        def compute(numbers: Numbers) -> Numbers:
            done = before(numbers)
            result: Numbers = function(own, done) if reverse else function(done, own)
            return result

        return SizeFloat(self.size, ratio, offset, self.dtype, compute)

    def rounded(self, how: Rounding) -> Dim | None:
        """A size that it is rounded to, whatever the dynamic size is; ``None`` if there is none."""
        low, high = bounds(self.size)
        if low < 0 or high - low > _MOST_TRIED:
            return None
        tried = np.arange(low, high + 1)
        with np.errstate(all="ignore"):
            wholes = getattr(np, how)(self.compute(tried.astype(self.dtype)))
        parts = self.ratio.denominator * self.offset.denominator
        factor, added = int(self.ratio * parts), int(self.offset * parts)
        exact = tried * factor + added
        if how == "round":
            if not np.array_equal(wholes, [round(Fraction(one, parts)) for one in exact.tolist()]):
                return None
            return _half_to_even(self.size * factor + added, parts)
        if how == "ceil":
            if not np.array_equal(wholes, -(-exact // parts)):
                return None
            up: Dim = -(-(self.size * factor + added) // parts)
            return up
        if not np.array_equal(wholes, exact // parts):
            return None  # also where truncating negative numbers is another thing
        down: Dim = (self.size * factor + added) // parts
        return down


def _half_to_even(number: Dim, parts: int) -> Dim:
    """``round(number / parts)`` as Python has it: a half goes to the even neighbour."""
    doubled = 2 * number + parts
    up = doubled // (2 * parts)
    if parts % 2:
        return up  # never a half
    is_half = 1 - minimum(doubled % (2 * parts), 1)
    return up - is_half * (up % 2)
