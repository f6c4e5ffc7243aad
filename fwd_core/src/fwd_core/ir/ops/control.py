"""Operators that hold graphs and choose among them when the engine runs."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Graph, Value
from fwd_core.ir.inline import inline
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.elementwise import Where
from fwd_core.ir.types import TensorType


@operator
class If(Operator):
    """The outputs of ``then`` where the 0-d bool condition is true, else those of ``otherwise``.

    The graphs are closed: what they read of the graph around them is bound to their inputs, which
    are ``captured`` in order. Both have as many outputs, of equal types. Sizes in them are
    expressions of the symbols of the graph around them. Only the branch that is chosen is computed,
    where a backend can; otherwise both are, and each output is selected.
    ``prim::If``, ``higher_order::cond``.
    """

    condition: Value
    captured: tuple[Value, ...]
    then: Graph
    otherwise: Graph

    def infer(self) -> tuple[TensorType, ...]:
        check.require_dtype(self.kind(), self.condition, check.BOOL)
        check.require_rank(self.kind(), self.condition, 0)
        for branch in (self.then, self.otherwise):
            wanted = [value.type for value in self.captured]
            found = [value.type for value in branch.inputs]
            if wanted != found:
                raise GraphError(
                    f"{self.kind()}: inputs of {branch.name!r} differ from what is captured",
                    expected=", ".join(map(str, wanted)) or "none",
                    got=", ".join(map(str, found)) or "none",
                )
        if len(self.then.outputs) != len(self.otherwise.outputs):
            raise GraphError(
                f"{self.kind()}: the branches have other numbers of outputs",
                expected=len(self.then.outputs),
                got=len(self.otherwise.outputs),
            )
        for a, b in zip(self.then.outputs, self.otherwise.outputs, strict=True):
            if not same_type(a.type, b.type):
                raise GraphError(
                    f"{self.kind()}: the branches give tensors of other types",
                    expected=a.type,
                    got=b.type,
                )
        return tuple(value.type for value in self.then.outputs)

    def decompose(self, emit: Emitter) -> tuple[Value, ...]:
        """Both branches, and a selection between their outputs."""
        then = inline(emit, self.then, self.captured)
        otherwise = inline(emit, self.otherwise, self.captured)
        return tuple(
            a if a is b else emit(Where(self.condition, a, b), "chosen")
            for a, b in zip(then, otherwise, strict=True)
        )


def same_type(a: TensorType, b: TensorType) -> bool:
    """Whether element types are the same and sizes are certainly equal."""
    if a.dtype is not b.dtype or a.rank != b.rank:
        return False
    return all(dim_facts.is_equal(x, y) is True for x, y in zip(a.shape, b.shape, strict=True))
