"""GELU with the bias of the product before it."""

from __future__ import annotations

from typing import Literal

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Operator, TensorType, Value, operator, ops
from fwd_core.rewrite.precision.rules import Rule
from fwd_plugins_bert.ops import checks


@operator
class GeluBias(Operator, namespace="bert"):
    """GELU of x + bias, exact (``none``) or by tanh, as :class:`fwd_core.ir.ops.Gelu` has it.

    x is [..., C] of a float dtype and bias [C] of the same.
    """

    x: Value
    bias: Value
    approximate: Literal["none", "tanh"] = "none"

    half_precision = Rule.ARITHMETIC

    def infer(self) -> TensorType:
        """Type of the result."""
        checks.floats(self, self.x, self.bias)
        if self.x.type.rank < 1:
            raise GraphError(f"{self.kind()}: x needs rank 1 or more", got=self.x.type)
        checks.rows(self, self.x.type.shape[-1], self.bias)
        return self.x.type

    def decompose(self, emit: Emitter) -> Value:
        """A sum, then the activation of the core."""
        biased = emit(ops.Add(self.x, self.bias), "biased")
        return emit(ops.Gelu(biased, self.approximate), "gelu")
