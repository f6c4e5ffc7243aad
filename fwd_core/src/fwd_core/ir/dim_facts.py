"""What is certainly true of sizes: equality and order, over every value of their symbols."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from fwd_core.ir.dims import Dim, DimExpr, Operation, Symbol, bounds, evaluate, symbols

#: Up to so many value combinations are tried one by one before sympy is asked.
ENUMERATION_LIMIT = 4096


class BroadcastError(ValueError):
    """Shapes do not broadcast.

    Attributes:
        pair: The two sizes of one axis.
    """

    def __init__(self, text: str, pair: tuple[Dim, Dim]) -> None:
        super().__init__(text)
        self.pair = pair


def is_equal(a: Dim, b: Dim) -> bool | None:
    """Whether two sizes are equal: always (True), never (False), or it depends (None)."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    difference = a - b
    if isinstance(difference, int):
        return difference == 0
    low, high = bounds(difference)
    if low > 0 or high < 0:
        return False
    return _settled(difference, "==")


def is_less(a: Dim, b: Dim) -> bool | None:
    """Whether ``a < b``: always (True), never (False), or it depends (None)."""
    if isinstance(a, int) and isinstance(b, int):
        return a < b
    difference = a - b
    low, high = bounds(difference)
    if high < 0:
        return True
    if low >= 0:
        return False
    return None if isinstance(difference, int) else _settled(difference, "<")


def shortfall(dim: Dim) -> Mapping[str, int] | None:
    """Values of the symbols for which a size is negative; ``None`` where none are found.

    All values are tried where they are few, else the ends of their ranges.
    """
    if isinstance(dim, int):
        return {} if dim < 0 else None
    return None if bounds(dim)[0] >= 0 else _shortfall(dim)


def broadcast(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape that NumPy's broadcasting gives.

    Raises:
        BroadcastError: Two sizes of one axis are different, or may be and neither is 1.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, start=rank - len(shape)):
            have = result[axis]
            if have == 1:
                result[axis] = dim
            elif dim != 1 and is_equal(have, dim) is not True:
                listed = " and ".join(str(list(s)) for s in shapes)
                what = f"shapes {listed} do not broadcast: {have} against {dim}"
                raise BroadcastError(what, (have, dim))
    return tuple(result)


@lru_cache(maxsize=4096)
def _settled(difference: DimExpr, question: str) -> bool | None:
    """The answer that is the same for every value of the symbols, if there is one."""
    variables = symbols(difference)
    if len({variable.name for variable in variables}) != len(variables):
        return None  # one name with two ranges: verify() refuses such graphs
    points, whole = _points(variables)
    answers = set()
    for point in points:
        answers.add(_holds(_value(difference, point), question))
        if len(answers) > 1:
            return None
    return answers.pop() if whole else _ask_sympy(difference, variables, question)


@lru_cache(maxsize=4096)
def _shortfall(dim: DimExpr) -> Mapping[str, int] | None:
    for point in _points(symbols(dim))[0]:
        value = _value(dim, point)
        if value is not None and value < 0:
            return MappingProxyType(point)
    return None


def _points(variables: Sequence[Symbol]) -> tuple[Iterator[dict[str, int]], bool]:
    """Values of symbols to try, and whether they are all that there are."""
    count = 1
    for variable in variables:
        count *= variable.max - variable.min + 1
    whole = count <= ENUMERATION_LIMIT
    ranges = [range(v.min, v.max + 1) if whole else _samples(v) for v in variables]
    names = [variable.name for variable in variables]
    points = (dict(zip(names, point, strict=True)) for point in itertools.product(*ranges))
    return itertools.islice(points, ENUMERATION_LIMIT), whole


def _samples(variable: Symbol) -> list[int]:
    low, high = variable.min, variable.max
    return sorted({low, min(low + 1, high), variable.opt, max(low, high - 1), high})


def _value(dim: DimExpr, point: dict[str, int]) -> int | None:
    try:
        return evaluate(dim, point)
    except ZeroDivisionError:
        return None


def _holds(value: int | None, question: str) -> bool | None:
    if value is None:
        return None
    return value == 0 if question == "==" else value < 0


def _ask_sympy(difference: DimExpr, variables: Sequence[Symbol], question: str) -> bool | None:
    import sympy  # 0.3 s to import, and needed by very few models

    names = {v: sympy.Symbol(v.name, integer=True, positive=v.min > 0) for v in variables}
    simple = sympy.simplify(_to_sympy(difference, names))
    answer = sympy.Eq(simple, 0) if question == "==" else simple < 0
    return {sympy.true: True, sympy.false: False}.get(answer)


def _to_sympy(dim: Dim, names: dict[Symbol, Any]) -> Any:
    import sympy

    if isinstance(dim, int):
        return sympy.Integer(dim)
    total = sympy.Integer(0)
    for monomial, coefficient in dim.terms:
        term = sympy.Integer(coefficient)
        for atom, power in monomial:
            if isinstance(atom, Operation):
                left, right = _to_sympy(atom.left, names), _to_sympy(atom.right, names)
                value = {
                    "//": lambda a, b: sympy.floor(a / b),
                    "%": sympy.Mod,
                    "min": sympy.Min,
                    "max": sympy.Max,
                }[atom.kind](left, right)
            else:
                value = names[atom]
            term *= value**power
        total += term
    return total
