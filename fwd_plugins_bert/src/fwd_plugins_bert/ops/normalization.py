"""Layer normalization of a residual sum."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Operator, TensorType, Value, operator, ops
from fwd_core.rewrite.precision.rules import Rule
from fwd_plugins_bert.ops import checks


@operator
class SkipNorm(Operator, namespace="bert"):
    """Layer normalization (Ba et al., 2016) of x + bias + skip over the last axis.

    (s - mean) / sqrt(variance + epsilon) * scale + shift, with s the sum and the biased variance.
    x and skip are [..., C] of one shape and float dtype; bias, scale and shift are [C] or absent.
    Of half types the sum, the statistics and the result are computed in float32 and rounded once.
    """

    x: Value
    skip: Value
    bias: Value | None
    scale: Value | None
    shift: Value | None
    epsilon: float

    half_precision = Rule.HALF

    def infer(self) -> TensorType:
        """Type of the result."""
        checks.floats(self, self.x, self.skip, self.bias, self.scale, self.shift)
        if self.x.type.rank < 1 or self.x.type != self.skip.type:
            raise GraphError(
                f"{self.kind()}: x and skip of one shape, of rank 1 or more",
                got=f"{self.x.type}, {self.skip.type}",
            )
        checks.rows(self, self.x.type.shape[-1], self.bias, self.scale, self.shift)
        return self.x.type

    def decompose(self, emit: Emitter) -> Value:
        """Sums, then the normalization of the core."""
        total, skip, bias = (checks.single(emit, one) for one in (self.x, self.skip, self.bias))
        assert total is not None
        assert skip is not None
        if bias is not None:
            total = emit(ops.Add(total, bias), "biased")
        total = emit(ops.Add(total, skip), "sum")
        result = checks.normalized(emit, total, self.scale, self.shift, self.epsilon)
        dtype = self.x.type.dtype
        return result if result.type.dtype is dtype else emit(ops.Cast(result, dtype), "rounded")
