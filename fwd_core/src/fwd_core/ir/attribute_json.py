"""Attributes of operators as JSON, and back.

Plain values stay plain: ``null``, booleans, integers, finite floats, strings, and arrays for
tuples. Everything else is an object with one key that says what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fwd_core.ir.dims import Dim, DimExpr, Operation, Symbol, combine, symbol
from fwd_core.ir.dtypes import DType
from fwd_core.ir.types import TensorType

if TYPE_CHECKING:
    from fwd_core.ir.graph import Graph


class Encoder:
    """Attributes to JSON. Collects the symbols that sizes mention."""

    def __init__(self) -> None:
        self._symbols: dict[str, Symbol] = {}

    def graph(self, graph: Graph) -> dict[str, Any]:
        """A nested graph; :mod:`~fwd_core.ir.serialize` knows how."""
        raise NotImplementedError

    def symbols(self) -> dict[str, list[int]]:
        """Ranges of all symbols met, by name."""
        return {name: [s.min, s.opt, s.max] for name, s in sorted(self._symbols.items())}

    def attribute(self, value: Any) -> Any:
        """One attribute.

        Raises:
            TypeError: Attributes of operators may not be of this type.
        """
        from fwd_core.ir.graph import Graph

        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, tuple):
            return [self.attribute(item) for item in value]
        if isinstance(value, DType):
            return {"dtype": str(value)}
        if isinstance(value, DimExpr):
            return {"dim": self.dim(value)}
        if isinstance(value, TensorType):
            return {"type": self.type(value)}
        if isinstance(value, Graph):
            return {"graph": self.graph(value)}
        raise TypeError(f"an operator's attribute may not be a {type(value).__name__}: {value!r}")

    def type(self, value: TensorType) -> list[Any]:
        """Dtype name and sizes."""
        return [str(value.dtype), [self.dim(dim) for dim in value.shape]]

    def dim(self, dim: Dim) -> Any:
        """An integer, or terms of a coefficient and atoms with powers."""
        if isinstance(dim, int):
            return dim
        return [[c, [[self._atom(a), p] for a, p in monomial]] for monomial, c in dim.terms]

    def _atom(self, atom: Symbol | Operation) -> Any:
        if isinstance(atom, Symbol):
            self._symbols[atom.name] = atom
            return atom.name
        return [atom.kind, self.dim(atom.left), self.dim(atom.right)]


class Decoder:
    """JSON to attributes."""

    def __init__(self) -> None:
        self._symbols: dict[str, DimExpr] = {}

    def graph(self, document: Mapping[str, Any]) -> Graph:
        """A nested graph; :mod:`~fwd_core.ir.serialize` knows how."""
        raise NotImplementedError

    def declare(self, ranges: Mapping[str, list[int]]) -> None:
        """Make the symbols that sizes will mention."""
        for name, (low, opt, high) in ranges.items():
            self._symbols[name] = symbol(name, low, opt, high)

    def attribute(self, value: Any) -> Any:
        """One attribute."""
        if isinstance(value, list):
            return tuple(self.attribute(item) for item in value)
        if not isinstance(value, dict):
            return value
        ((kind, held),) = value.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "float": float,
            "dtype": DType.of,
            "dim": self.dim,
            "type": self.type,
            "graph": self.graph,
        }
        return readers[kind](held)

    def type(self, entry: list[Any]) -> TensorType:
        """A tensor type."""
        return TensorType(DType.of(entry[0]), tuple(self.dim(dim) for dim in entry[1]))

    def dim(self, entry: Any) -> Dim:
        """A size."""
        if isinstance(entry, int):
            return entry
        total: Dim = 0
        for coefficient, atoms in entry:
            term: Dim = coefficient
            for atom, power in atoms:
                for _ in range(power):
                    term = term * self._atom(atom)
            total = total + term
        return total

    def _atom(self, entry: Any) -> Dim:
        if isinstance(entry, str):
            return self._symbols[entry]
        kind, left, right = entry
        return combine(kind, self.dim(left), self.dim(right))
