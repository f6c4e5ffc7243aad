"""What the 256 numbers of eight bits stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fwd_core.ir.dtypes import DType
from fwd_core.quantize.weights import GREATEST, LEAST_SCALE

_GREATEST_UNSIGNED = 255


@dataclass(frozen=True)
class Steps:
    """The integer ``q`` stands for ``(q - zero) * scale``.

    Attributes:
        scale: How wide a step is.
        zero: The integer that stands for 0.
        dtype: Of the integers, ``int8`` or ``uint8``.
    """

    scale: float
    zero: int = 0
    dtype: DType = DType.INT8

    @classmethod
    def around_zero(cls, amax: float) -> Steps:
        """Steps of int8 from ``-amax`` to ``amax``."""
        return cls(amax / GREATEST)

    @classmethod
    def above(cls, least: float, amax: float) -> Steps:
        """Steps of uint8 from ``least`` or a little below, at most 0, to ``amax`` exactly.

        Where that would make them no finer they are those around 0.
        """
        if not -amax < least <= 0:
            return cls.around_zero(amax)
        zero = math.ceil(-least / (amax - least) * _GREATEST_UNSIGNED)
        scale = amax / (_GREATEST_UNSIGNED - zero) if zero < GREATEST else 0.0
        return cls(scale, zero, DType.UINT8) if scale >= LEAST_SCALE else cls.around_zero(amax)
