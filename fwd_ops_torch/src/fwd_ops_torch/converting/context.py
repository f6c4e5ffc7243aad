"""What converters work with: adding operators, numbers as tensors, and type promotion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Union

import numpy as np
import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import (
    Dim,
    DimExpr,
    DType,
    Emitter,
    Graph,
    Location,
    Operator,
    Shape,
    Tensor,
    Value,
    is_equal,
    ops,
)
from fwd_core.ir.dim_facts import BroadcastError, broadcast, shortfall
from fwd_core.ir.dim_hints import contradiction, point_text, raise_least
from fwd_core.ir.dims import evaluate
from fwd_ops_torch.converting.promotion import result_dtype

Number = Union[int, float, bool, DimExpr]
Operand = Union[Value, Number]


class UnsupportedArgumentError(ConversionError):
    """An argument's value that a converter does not take; listed with unsupported operators."""


class ConversionContext:
    """Handed to every converter.

    Args:
        graph: The graph under construction.
        operator: Qualified operator that is being converted.
        name: Name that the result will have.
        location: Where in the user's model.
        guarded: Whether a branch is under way, whose condition may keep sizes away.
    """

    def __init__(
        self,
        graph: Graph,
        operator: str,
        name: str,
        location: Location,
        *,
        guarded: bool = False,
    ) -> None:
        self.graph = graph
        self.guarded = guarded
        self.operator = operator
        self.location = location
        self._emitter = Emitter(graph, base=name, location=location)

    @property
    def added(self) -> list[Any]:
        """Nodes added by this conversion."""
        return self._emitter.added

    def emit(self, op: Operator, name: str = "") -> Value:
        """Add an operator with one output."""
        return self._emitter(op, name)

    def emit_all(self, op: Operator, name: str = "") -> tuple[Value, ...]:
        """Add an operator with several outputs; a converter of several tensors returns them."""
        return self._emitter.all(op, name)

    def constant(self, data: Any, dtype: DType, name: str = "constant") -> Value:
        """Add a constant from anything that NumPy takes."""
        array = np.asarray(data, np.float64 if dtype.is_float else dtype.storage)
        tensor = Tensor(array).astype(dtype) if dtype.is_float else Tensor(array, dtype)
        return self._emitter.constant(tensor, name)

    def number(self, number: Number, dtype: DType, name: str = "number") -> Value:
        """A Python number or a size as a 0-d tensor, converted as torch converts an argument.

        Raises:
            ConversionError: An integer dtype cannot hold the number, see :meth:`fitted`.
        """
        if isinstance(number, DimExpr):
            return self.cast(self.emit(ops.DimValue(number), name), dtype)
        return self.constant(self.fitted(number, dtype), dtype, name)

    def fitted(self, number: float, dtype: DType) -> float:
        """A Python number as a dtype holds it, converted as torch converts an argument.

        Raises:
            ConversionError: An integer dtype cannot hold the number. Unsigned ones hold negative
                numbers, modulo their range; no float may lie outside.
        """
        if dtype.is_float:
            return float(number)
        if dtype is DType.BOOL:
            return bool(number)
        low, high = dtype.limits
        least = -high if low == 0 and not isinstance(number, float) else low
        if not math.isfinite(number) or not least <= number <= high:
            raise ConversionError(
                f"{self.operator}: number out of range", expected=f"{dtype}", got=number
            )
        return _modulo(int(number), dtype)

    def cast(self, value: Value, dtype: DType) -> Value:
        """The value in a dtype; no operator is added if it has that dtype."""
        return value if value.type.dtype is dtype else self.emit(ops.Cast(value, dtype), "cast")

    def tensor(self, operand: Operand, dtype: DType) -> Value:
        """A tensor or a number as a tensor of a dtype."""
        if isinstance(operand, Value):
            return self.cast(operand, dtype)
        return self.number(operand, dtype)

    def promote(self, *operands: Operand, dtype: DType | None = None) -> list[Value]:
        """Tensors and numbers in the one dtype that torch would compute in.

        Args:
            operands: Tensors and numbers; numbers count less than tensors, as in torch.
            dtype: Compute in this dtype instead.
        """
        target = dtype if dtype is not None else result_dtype(operands)
        # Torch makes a number beside a tensor a tensor of its own, so it wraps like one.
        wraps = target.is_integer
        return [
            self.tensor(_modulo(one, target) if wraps and isinstance(one, int) else one, target)
            for one in operands
        ]

    def to_float(self, value: Value) -> Value:
        """The value, with integers and bool converted to torch's default float dtype."""
        return value if value.type.dtype.is_float else self.cast(value, default_float())

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front.

        Raises:
            ConversionError: There is no such axis.
        """
        limit = max(rank, 1)  # torch lets 0-d tensors be indexed as if they had one axis
        if not -limit <= axis < limit:
            raise ConversionError(
                f"{self.operator}: dimension out of range",
                expected=f"{-limit} … {limit - 1}",
                got=axis,
            )
        return axis % limit

    def axis_to_cut(self, axis: int, rank: int, verb: str) -> int:
        """An axis counted from the front, of which a 0-d tensor has none.

        Raises:
            ConversionError: There is no such axis.
        """
        if rank == 0:
            raise ConversionError(
                f"{self.operator}: a 0-d tensor has no axis to {verb}",
                expected="1 axis or more",
                got="none",
            )
        return self.axis(axis, rank)

    def axes(self, axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
        """Axes counted from the front; none or an empty list means all of them.

        Raises:
            ConversionError: An axis does not exist or is repeated.
        """
        if axes is None or (not isinstance(axes, int) and not axes):
            return tuple(range(rank))
        listed = [axes] if isinstance(axes, int) else axes
        normal = [self.axis(axis, rank) for axis in listed]
        if len(set(normal)) != len(normal):
            raise ConversionError(f"{self.operator}: a dimension is repeated", got=list(listed))
        return () if rank == 0 else tuple(sorted(normal))

    def static(self, dim: Dim, what: str) -> int:
        """A size that has to be known when the engine is built.

        Raises:
            UnsupportedArgumentError: It depends on a dynamic size.
        """
        if isinstance(dim, DimExpr):
            raise self.unsupported(
                what,
                f"it depends on dynamic size {dim}",
                "build that size static, with one engine for each",
            )
        return dim

    def require_equal(self, what: str, a: Dim, b: Dim) -> None:
        """Require two sizes to be the same, for every value of a dynamic size.

        Raises:
            ConversionError: They differ, or may.
        """
        same = is_equal(a, b)
        if same is False:
            raise ConversionError(
                f"{self.operator}: {what} differ", expected=a, got=b, hint=contradiction(a, b)
            )
        if same is None:
            raise ConversionError(
                f"{self.operator}: {what} may differ",
                expected=f"{a}, whatever the sizes are when the engine runs",
                got=b,
                hint=contradiction(a, b),
            )

    def require_enough(self, argument: str, needed: Dim, size: Dim, instead: str = "") -> None:
        """Require an axis to have so many elements, for every value of a dynamic size.

        That a fixed size has them is for the caller to check. In a branch nothing is required:
        ``if x.shape[0] > 3`` may be its condition.

        Args:
            argument: The argument that asks for them.
            needed: How many elements.
            size: The size of the axis.
            instead: What else the model could do.

        Raises:
            UnsupportedArgumentError: It may have fewer.
        """
        at = shortfall(size - needed)
        if not at or self.guarded:
            return
        raise self.unsupported(
            argument,
            f"{needed} elements may be more than size {size} has: where {point_text(at)}, it is "
            f"{evaluate(size, at)}",
            raise_least(at, instead),
        )

    def broadcast_shape(self, values: Sequence[Value]) -> Shape:
        """The shape that values broadcast to.

        Raises:
            ConversionError: They do not broadcast.
        """
        try:
            return broadcast(*(value.type.shape for value in values))
        except BroadcastError as error:
            raise ConversionError(
                f"{self.operator}: {error}", hint=contradiction(*error.pair)
            ) from None

    def unsupported(
        self, argument: str, reason: str, hint: str | None = None
    ) -> UnsupportedArgumentError:
        """An error to raise: this value of an argument is not supported."""
        return UnsupportedArgumentError(
            f"{self.operator}: argument {argument!r} is not supported here: {reason}", hint=hint
        )


def _modulo(number: int, dtype: DType) -> int:
    low, high = (int(limit) for limit in dtype.limits)
    return (number - low) % (high - low + 1) + low


def default_float() -> DType:
    """The dtype that torch gives to results of float functions of integers."""
    return DType.of(str(torch.get_default_dtype()).removeprefix("torch."))
