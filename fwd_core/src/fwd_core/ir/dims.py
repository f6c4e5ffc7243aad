"""Sizes of tensor axes: plain integers, or exact expressions over named symbols.

A :data:`Dim` is an ``int`` or a :class:`DimExpr`. An expression is kept as a polynomial with
integer coefficients over *atoms*, so two expressions that the ring laws make equal are
structurally equal and compare in constant time after the first hash. Atoms are symbols and the
four operations that polynomials lack: floor division, modulo, minimum and maximum.

Integers stay integers: a model without dynamic axes never builds an expression. Where the
normal form does not settle a question (is this equal? is it less?), :func:`is_equal` and
:func:`is_less` look at bounds, then at every value of a small range, then ask sympy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Union


@dataclass(frozen=True)
class Symbol:
    """A named size, known only when the engine runs, within ``min`` … ``max``.

    ``opt`` is the value that engines are tuned for; it has no meaning for shapes.
    """

    name: str
    min: int
    opt: int
    max: int

    @property
    def key(self) -> str:
        """Sort key and printed form."""
        return self.name

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value."""
        return (self.min, self.max)


@dataclass(frozen=True)
class Operation:
    """``left // right``, ``left % right``, ``min(left, right)`` or ``max(left, right)``."""

    kind: str
    left: Dim
    right: Dim

    @cached_property
    def key(self) -> str:
        """Sort key and printed form."""
        if self.kind in ("min", "max"):
            return f"{self.kind}({self.left}, {self.right})"
        return f"({_atomic(self.left)} {self.kind} {_atomic(self.right)})"

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value that interval arithmetic gives."""
        (a, b), (c, d) = bounds(self.left), bounds(self.right)
        if self.kind == "min":
            return (min(a, c), min(b, d))
        if self.kind == "max":
            return (max(a, c), max(b, d))
        if c <= 0 <= d:  # a size that may divide by zero has no bound to offer
            return (-_UNBOUNDED, _UNBOUNDED)
        if self.kind == "%":
            return (0, d - 1) if c > 0 else (c + 1, 0)
        corners = [a // c, a // d, b // c, b // d]
        return (min(corners), max(corners))


Atom = Union[Symbol, Operation]
Monomial = tuple[tuple[Atom, int], ...]
_UNBOUNDED = 2**62


class DimExpr:
    """A size that depends on at least one symbol. Immutable; build it with operators.

    Example:
        >>> batch = symbol("batch", 1, 4, 8)
        >>> batch * 6 // 2
        3*batch
        >>> (batch * 4) // batch
        4
    """

    __slots__ = ("_bounds", "_hash", "_key", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash: int | None = None
        self._key: str | None = None
        self._bounds: tuple[int, int] | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.terms)
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, DimExpr) and hash(self) == hash(other) and self.terms == other.terms
        )

    def __bool__(self) -> bool:
        raise TypeError(f"the truth of size {self} is not known: use is_equal or is_less")

    def __repr__(self) -> str:
        if self._key is None:
            parts = [_term_text(monomial, coefficient) for monomial, coefficient in self.terms]
            self._key = " + ".join(parts).replace("+ -", "- ")
        return self._key

    def __add__(self, other: Dim) -> Dim:
        if not isinstance(other, (int, DimExpr)):
            return NotImplemented
        return _build(self.terms, _terms(other))

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        if not isinstance(other, (int, DimExpr)):
            return NotImplemented
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        return other + self * -1 if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Dim) -> Dim:
        if not isinstance(other, (int, DimExpr)):
            return NotImplemented
        products = ((_times(m1, m2), c1 * c2) for m1, c1 in self.terms for m2, c2 in _terms(other))
        return _build(products)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other) if isinstance(other, (int, DimExpr)) else NotImplemented

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Dim) -> Dim:
        return modulo(self, other) if isinstance(other, (int, DimExpr)) else NotImplemented

    def __rmod__(self, other: Dim) -> Dim:
        return modulo(other, self) if isinstance(other, int) else NotImplemented


Dim = Union[int, DimExpr]


def symbol(name: str, min: int, opt: int, max: int) -> DimExpr:  # noqa: A002 - the field's words
    """A dynamic size by name.

    Raises:
        ValueError: Not ``0 <= min <= opt <= max``.
    """
    if not 0 <= min <= opt <= max:
        raise ValueError(f"dim {name!r} needs 0 <= min <= opt <= max, got {min}, {opt}, {max}")
    return _of_atom(Symbol(name, min, opt, max))


def floordiv(a: Dim, b: Dim) -> Dim:
    """``a // b``, rounded toward minus infinity as Python's integers do.

    Raises:
        ZeroDivisionError: ``b`` is the integer 0.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if a == 0 or b == 1:
        return a
    if (exact := divide_exactly(a, b)) is not None:
        return exact
    if isinstance(b, int) and isinstance(a, DimExpr):
        whole = [(m, c // b) for m, c in a.terms if c % b == 0]
        rest = _build((m, c) for m, c in a.terms if c % b != 0)
        if whole:
            return _build(whole) + floordiv(rest, b)
        inner = _single(rest)
        if (
            b > 0
            and isinstance(inner, Operation)
            and inner.kind == "//"
            and isinstance(inner.right, int)
            and inner.right > 0
        ):
            return floordiv(inner.left, inner.right * b)
        low, high = bounds(rest)
        if low // b == high // b:
            return low // b
    return _operation("//", a, b)


def modulo(a: Dim, b: Dim) -> Dim:
    """``a % b`` with the sign of ``b``, as Python's integers do.

    Raises:
        ZeroDivisionError: ``b`` is the integer 0.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    if a == 0 or b == 1 or divide_exactly(a, b) is not None:
        return 0
    if isinstance(b, int) and isinstance(a, DimExpr):
        a = _build((m, c % b) for m, c in a.terms)
        if isinstance(a, int):
            return a % b
        low, high = bounds(a)
        if low // b == high // b:
            return a - (low // b) * b
    return _operation("%", a, b)


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller of two sizes."""
    return _extremum("min", a, b)


def maximum(a: Dim, b: Dim) -> Dim:
    """The greater of two sizes."""
    return _extremum("max", a, b)


def product(dims: Iterable[Dim]) -> Dim:
    """All sizes multiplied: the number of elements of a shape."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def divide_exactly(a: Dim, b: Dim) -> Dim | None:
    """``a / b`` if that is a polynomial with integer coefficients, else ``None``.

    Sizes that divide are taken to be nonzero, as a shape that divides by them demands.
    """
    if b == 0:
        return None
    lead_monomial, lead_coefficient = max(_terms(b), key=_order)
    quotient: Dim = 0
    rest = a
    while rest != 0:
        monomial, coefficient = max(_terms(rest), key=_order)
        factor = _cancel(monomial, lead_monomial)
        if factor is None or coefficient % lead_coefficient:
            return None
        step = _build([(factor, coefficient // lead_coefficient)])
        quotient = quotient + step
        rest = rest - step * b
    return quotient


def bounds(dim: Dim) -> tuple[int, int]:
    """Least and greatest value over the symbols' ranges; may be wider than the true range."""
    if isinstance(dim, int):
        return (dim, dim)
    if dim._bounds is None:  # kept, or expressions that share parts would cost exponential time
        dim._bounds = _bounds(dim)
    return dim._bounds


def _bounds(dim: DimExpr) -> tuple[int, int]:
    low = high = 0
    for monomial, coefficient in dim.terms:
        a = b = coefficient
        for atom, power in monomial:
            c, d = atom.bounds()
            for _ in range(power):
                corners = (a * c, a * d, b * c, b * d)
                a, b = min(corners), max(corners)
        low, high = low + a, high + b
    return (low, high)


def symbols(*dims: Dim) -> list[Symbol]:
    """The symbols in some sizes, each once, by name."""
    found = {atom: None for dim in dims for atom in atoms(dim) if isinstance(atom, Symbol)}
    return sorted(found, key=lambda item: item.name)


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """The size with symbols replaced by name; symbols not named stay."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, coefficient in dim.terms:
        term: Dim = coefficient
        for atom, power in monomial:
            if isinstance(atom, Symbol):
                value = values.get(atom.name, _of_atom(atom))
            else:
                left, right = substitute(atom.left, values), substitute(atom.right, values)
                value = combine(atom.kind, left, right)
            for _ in range(power):
                term = term * value
        total = total + term
    return total


def evaluate(dim: Dim, values: Mapping[str, int]) -> int:
    """The size as an integer.

    Raises:
        KeyError: A symbol has no value.
    """
    result = substitute(dim, values)
    if not isinstance(result, int):
        raise KeyError(f"no value for {', '.join(s.name for s in symbols(result))} in {dim}")
    return result


def single_symbol(dim: Dim) -> Symbol | None:
    """The symbol if the size is one symbol and nothing else."""
    atom = _single(dim)
    return atom if isinstance(atom, Symbol) else None


def atoms(dim: Dim) -> list[Atom]:
    """All symbols and operations in a size, also those in operands of operations, each once."""
    found: dict[Atom, None] = {}
    stack: list[Dim] = [dim]
    while stack:
        one = stack.pop()
        for atom in () if isinstance(one, int) else _atoms(one):
            if isinstance(atom, Operation) and atom not in found:
                stack += [atom.left, atom.right]
            found[atom] = None
    return list(found)


def multiple(dim: Dim) -> tuple[Symbol, int] | None:
    """The symbol and the factor if the size is a symbol times a positive integer, as ``4*h``."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    monomial, factor = dim.terms[0]
    symbol = single_symbol(DimExpr(((monomial, 1),)))
    return None if symbol is None or factor < 1 else (symbol, factor)


# --- normal form -------------------------------------------------------------------------------


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(dim, int):
        return (((), dim),) if dim else ()
    return dim.terms


def _build(*groups: Iterable[tuple[Monomial, int]]) -> Dim:
    sums: dict[Monomial, int] = {}
    for group in groups:
        for monomial, coefficient in group:
            sums[monomial] = sums.get(monomial, 0) + coefficient
    terms = [(m, c) for m, c in sums.items() if c]
    if not terms:
        return 0
    if len(terms) == 1 and terms[0][0] == ():
        return terms[0][1]
    terms.sort(key=_order, reverse=True)
    return DimExpr(tuple(terms))


def _order(term: tuple[Monomial, int]) -> tuple[int, list[str]]:
    # Degree first, then the sorted factors: a monomial order, so division by leading terms ends.
    factors = [atom.key for atom, power in term[0] for _ in range(power)]
    return (len(factors), factors)


def _of_atom(atom: Atom) -> DimExpr:
    return DimExpr(((((atom, 1),), 1),))


def _times(a: Monomial, b: Monomial) -> Monomial:
    if not a or not b:
        return a or b
    powers: dict[Atom, int] = dict(a)
    for atom, power in b:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].key))


def _cancel(a: Monomial, b: Monomial) -> Monomial | None:
    powers = dict(a)
    for atom, power in b:
        powers[atom] = powers.get(atom, 0) - power
        if powers[atom] < 0:
            return None
    return tuple((atom, power) for atom, power in powers.items() if power)


def _atoms(dim: DimExpr) -> Iterator[Atom]:
    for monomial, _ in dim.terms:
        for atom, _power in monomial:
            yield atom


def _single(dim: Dim) -> Atom | None:
    if isinstance(dim, DimExpr) and len(dim.terms) == 1:
        monomial, coefficient = dim.terms[0]
        if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
            return monomial[0][0]
    return None


def _operation(kind: str, left: Dim, right: Dim) -> Dim:
    return _of_atom(Operation(kind, left, right))


def _extremum(kind: str, a: Dim, b: Dim) -> Dim:
    low, high = bounds(a - b)
    if low >= 0:
        return a if kind == "max" else b
    if high <= 0:
        return b if kind == "max" else a
    left, right = sorted((a, b), key=str)
    return _operation(kind, left, right)


_FUNCTIONS = {"//": floordiv, "%": modulo, "min": minimum, "max": maximum}


def combine(kind: str, left: Dim, right: Dim) -> Dim:
    """Apply the operation of an :class:`Operation`'s kind."""
    return _FUNCTIONS[kind](left, right)


def _monomial_text(monomial: Monomial) -> str:
    return "*".join(a.key if p == 1 else f"{a.key}**{p}" for a, p in monomial)


def _term_text(monomial: Monomial, coefficient: int) -> str:
    if not monomial:
        return str(coefficient)
    if coefficient == 1:
        return _monomial_text(monomial)
    sign = "-" if coefficient == -1 else f"{coefficient}*"
    return sign + _monomial_text(monomial)


def _atomic(dim: Dim) -> str:
    text = str(dim)
    return f"({text})" if isinstance(dim, DimExpr) and len(dim.terms) > 1 else text
