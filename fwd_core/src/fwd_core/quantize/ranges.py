"""What is known of the numbers of each tensor, and which tensors share a scale."""

from __future__ import annotations

from collections.abc import Mapping

from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Value
from fwd_core.quantize import rules
from fwd_core.quantize.weights import greatest, range_problem, weight_problem


class Groups:
    """Tensors that share a scale with others."""

    def __init__(self) -> None:
        self._of: dict[Value, list[Value]] = {}

    def join(self, a: Value, b: Value) -> None:
        """Let two tensors, and all that share with them, share one scale."""
        first, second = self.of(a), self.of(b)
        if first is second:
            return
        if len(first) < len(second):
            first, second = second, first
        first.extend(second)
        for value in second:
            self._of[value] = first

    def of(self, value: Value) -> list[Value]:
        """All that share the scale of a tensor, itself among them."""
        return self._of.setdefault(value, [value])

    def shared(self) -> list[list[Value]]:
        """Groups of two or more."""
        distinct = {id(group): group for group in self._of.values()}
        return [group for group in distinct.values() if len(group) > 1]


class Ranges:
    """Ranges of tensors: measured, following from others, or (``None``) all to be measured."""

    def __init__(self, graph: Graph, measured: Mapping[str, float] | None) -> None:
        self._known: dict[Value, float] = {}
        self._problems: dict[Value, str] = {}
        for value in graph.values():
            if value.type.dtype is not DType.FLOAT32:
                self._problems[value] = f"it is {value.type.dtype}"
                continue
            amax = self._found(value, measured)
            why = amax if isinstance(amax, str) else range_problem(amax)
            if why is not None:
                self._problems[value] = why
            elif not isinstance(amax, str):
                self._known[value] = amax

    def _found(self, value: Value, measured: Mapping[str, float] | None) -> float | str:
        if (constant := value.constant) is not None:
            return weight_problem(constant) or greatest(constant)
        if measured is None:
            return 1.0
        if value.name in measured:
            return float(measured[value.name])
        sources = () if value.producer is None else rules.passed_on(value.producer.op)
        if not sources or any(one in self._problems for one in sources):
            return "it has no range"
        return max(self._known[one] for one in sources)

    def problem(self, value: Value) -> str | None:
        """Why a tensor cannot be quantized, if so."""
        return self._problems.get(value)

    def amax(self, group: list[Value]) -> float:
        """The greatest range in a group."""
        return max(self._known[value] for value in group if value in self._known)
