"""What surrounds attention in an encoder, on rows of tokens."""

from __future__ import annotations

from typing import Literal

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Operator, TensorType, Value, operator, ops
from fwd_core.rewrite.precision.rules import Rule
from fwd_plugins_bert.ops.normalization import SkipNorm


@operator
class PackedLinear(Operator, namespace="bert"):
    """:class:`fwd_core.ir.ops.Linear` of rows of tokens, and GELU of it if there is one.

    x is [tokens, in], weight [out, in] and bias [out] or absent; all have one float dtype. GELU is
    exact (``gelu``) or by tanh (``gelu_tanh``), as :class:`fwd_core.ir.ops.Gelu` has it.
    """

    x: Value
    weight: Value
    bias: Value | None
    activation: Literal["identity", "gelu", "gelu_tanh"] = "identity"

    half_precision = Rule.HALF

    def infer(self) -> TensorType:
        """Type of the result."""
        if self.x.type.rank != 2:
            raise GraphError(f"{self.kind()}: x is [tokens, in]", got=self.x.type)
        return ops.Linear(self.x, self.weight, self.bias).infer()

    def decompose(self, emit: Emitter) -> Value:
        """The product, then the activation of the core."""
        result = emit(ops.Linear(self.x, self.weight, self.bias), "linear")
        if self.activation == "identity":
            return result
        return emit(ops.Gelu(result, "tanh" if self.activation == "gelu_tanh" else "none"), "gelu")


@operator
class PackedSkipNorm(SkipNorm, namespace="bert"):
    """:class:`SkipNorm` of rows of tokens: x and skip are [tokens, C]."""

    def infer(self) -> TensorType:
        """Type of the result."""
        if self.x.type.rank != 2:
            raise GraphError(f"{self.kind()}: x is [tokens, C]", got=self.x.type)
        return super().infer()
