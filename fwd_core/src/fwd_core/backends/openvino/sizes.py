"""Sizes that are known only at run time, as OpenVINO tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fwd_core.backends.openvino import integers
from fwd_core.ir.dims import Dim, DimExpr, Operation, Symbol, bounds, multiple
from fwd_core.ir.graph import Graph

if TYPE_CHECKING:
    from openvino import Output

#: OpenVINO divides integers in float32, which is exact below this.
_EXACT = 2**24


class Sizes:
    """Makes int64 tensors of symbolic sizes from the shapes of the inputs that carry them.

    Each symbol, atom and size is made at most once.

    Args:
        opset: OpenVINO's operator set.
        graph: Its inputs say where each symbol can be read.
        parameters: OpenVINO's tensors of the inputs.
        from_outside: Gives symbols that are the size of no input's axis, or raises.
    """

    def __init__(
        self,
        opset: Any,
        graph: Graph,
        parameters: Sequence[Output],
        from_outside: Callable[[Symbol], Output],
    ) -> None:
        self._opset = opset
        self._from_outside = from_outside
        self._places: dict[Symbol, tuple[Output, int, int]] = {}
        self._shapes: dict[Output, Output] = {}
        self._made: dict[Dim | Symbol | Operation, Output] = {}
        for value, parameter in zip(graph.inputs, parameters, strict=True):
            for axis, dim in enumerate(value.type.shape):
                if (found := multiple(dim)) is None:
                    continue
                symbol, factor = found
                if factor < self._places.get(symbol, (None, 0, factor + 1))[2]:
                    self._places[symbol] = (parameter, axis, factor)

    def scalar(self, dim: Dim) -> Output:
        """The size as a 0-d int64 tensor.

        Raises:
            BuildError: A symbol of it is not the size of any input's axis.
        """
        made = self._made.get(dim)
        if made is None:
            made = self._made[dim] = self._scalar(dim)
        return made

    def vector(self, dims: Sequence[Dim]) -> Output:
        """Sizes as a 1-d int64 tensor: a constant where all are fixed."""
        known = [dim for dim in dims if isinstance(dim, int)]
        if len(known) == len(dims):
            return self._constant(known)
        parts: list[Output] = []
        fixed: list[int] = []
        for dim in dims:
            if isinstance(dim, int):
                fixed.append(dim)
                continue
            if fixed:
                parts.append(self._constant(fixed))
                fixed = []
            parts.append(self._opset.unsqueeze(self.scalar(dim), self._constant([0])).output(0))
        if fixed:
            parts.append(self._constant(fixed))
        return parts[0] if len(parts) == 1 else self._opset.concat(parts, 0).output(0)

    def symbol(self, symbol: Symbol) -> Output:
        """The value of a symbol as a 0-d int64 tensor.

        Raises:
            BuildError: It is not the size of any input's axis.
        """
        return self._atom(symbol)

    def _constant(self, value: int | list[int]) -> Output:
        return self._opset.constant(np.array(value, np.int64)).output(0)

    def _scalar(self, dim: Dim) -> Output:
        if not isinstance(dim, DimExpr):
            return self._constant(dim)
        total: Output | None = None
        for monomial, coefficient in dim.terms:
            term: Output | None = None
            for atom, power in monomial:
                for _ in range(power):
                    term = self._product(term, self._atom(atom))
            if term is None:
                term = self._constant(coefficient)
            elif coefficient != 1:
                term = self._product(term, self._constant(coefficient))
            total = term if total is None else self._opset.add(total, term).output(0)
        assert total is not None, "an expression without terms is the integer 0"
        return total

    def _product(self, a: Output | None, b: Output) -> Output:
        return b if a is None else self._opset.multiply(a, b).output(0)

    def _atom(self, atom: Symbol | Operation) -> Output:
        made = self._made.get(atom)
        if made is None:
            made = self._symbol(atom) if isinstance(atom, Symbol) else self._operation(atom)
            self._made[atom] = made
        return made

    def _symbol(self, symbol: Symbol) -> Output:
        if symbol not in self._places:
            return self._from_outside(symbol)
        parameter, axis, factor = self._places[symbol]
        if parameter not in self._shapes:
            self._shapes[parameter] = self._opset.shape_of(parameter, "i64").output(0)
        size = self._opset.gather(
            self._shapes[parameter], self._constant(axis), self._constant(0)
        ).output(0)
        if factor == 1:
            return size
        return self._quotient(size, self._constant(factor), symbol.max * factor < _EXACT)

    def _operation(self, operation: Operation) -> Output:
        opset = self._opset
        left, right = self.scalar(operation.left), self.scalar(operation.right)
        if operation.kind == "min":
            return opset.minimum(left, right).output(0)
        if operation.kind == "max":
            return opset.maximum(left, right).output(0)
        quotient = self._floor_divide(operation.left, operation.right)
        if operation.kind == "//":
            return quotient
        return opset.subtract(left, opset.multiply(quotient, right)).output(0)

    def _quotient(self, a: Output, b: Output, small: bool) -> Output:
        """A quotient rounded down; both are ``small`` if positive and exact in float32."""
        if small:
            return self._opset.divide(a, b).output(0)
        return integers.divide(self._opset, a, b)[0]

    def _floor_divide(self, a: Dim, b: Dim) -> Output:
        (low, _), (least, greatest) = bounds(a), bounds(b)
        # OpenVINO truncates: add as many whole divisors as make the dividend positive.
        whole = -(low // least) if least > 0 and low < 0 else 0
        dividend = a + whole * b
        positive = least > 0 and bounds(dividend)[0] >= 0
        if not positive or max(bounds(dividend)[1], greatest) >= _EXACT:
            return self._quotient(self.scalar(a), self.scalar(b), False)
        quotient = self._quotient(self.scalar(dividend), self.scalar(b), True)
        if whole == 0:
            return quotient
        return self._opset.subtract(quotient, self._constant(whole)).output(0)
