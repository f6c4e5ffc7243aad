"""What a reshape does to the parts that axes are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fwd_core.ir.dims import Dim, divide_exactly
from fwd_core.ir.types import Shape


class Sized(Protocol):
    """A part of an axis."""

    @property
    def size(self) -> Dim:
        """How long it is."""


Part = TypeVar("Part", bound=Sized)
#: Cuts a part, if it may be cut, into one of a size and the rest.
Cut = Callable[[Part, Dim], "tuple[Part, Part] | None"]


def dealt(parts: Sequence[Part], shape: Shape, cut: Cut[Part]) -> list[tuple[Part, ...]] | None:
    """Parts in row-major order, dealt out to axes of other sizes, cut where an axis ends.

    Args:
        parts: In order.
        shape: Sizes of the axes.
        cut: As :data:`Cut`.

    Returns:
        The parts of each axis, or ``None`` if they cannot be dealt out so.
    """
    rest: list[Part] = list(parts[::-1])
    result = []
    for size in shape:
        axis: list[Part] = []
        need = size
        while need != 1:
            if not rest:
                return None
            part = rest.pop()
            left = divide_exactly(need, part.size)
            if left is not None:
                axis.append(part)
                need = left
                continue
            pair = cut(part, need)
            if pair is None:
                return None
            axis.append(pair[0])
            rest.append(pair[1])
            need = 1
        result.append(tuple(axis))
    return None if rest else result
