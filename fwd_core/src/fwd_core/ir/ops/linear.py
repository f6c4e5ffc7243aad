"""Matrix products."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import TensorType


@operator
class MatMul(Operator):
    """Matrix product of the last two axes; leading axes broadcast.

    a is [..., n, k] (or [..., k, n] with ``transpose_a``), b is [..., k, m] (or [..., m, k] with
    ``transpose_b``), the result [..., n, m]. Both have rank 2 or more and one dtype.
    """

    a: Value
    b: Value
    transpose_a: bool = False
    transpose_b: bool = False

    def infer(self) -> TensorType:
        dtype = check.require_same_dtype(self.kind(), self.a, self.b)
        for value in (self.a, self.b):
            check.require_dtype(self.kind(), value, check.NUMBERS)
            if value.type.rank < 2:
                raise GraphError("fwd.MatMul: rank 2 or more", got=value.type)
        n, k = _matrix(self.a, self.transpose_a)
        k_of_b, m = _matrix(self.b, self.transpose_b)
        check.require_equal(f"{self.kind()}: {self.a.type} times {self.b.type}", k, k_of_b)
        batch = check.broadcast_shapes(self.kind(), self.a.type.shape[:-2], self.b.type.shape[:-2])
        return TensorType(dtype, (*batch, n, m))


@operator
class Linear(Operator):
    """x times the transposed weight, plus bias: [..., in] -> [..., out].

    weight is [out, in] and bias [out] or absent; all have one float dtype. ``aten::linear``.
    """

    x: Value
    weight: Value
    bias: Value | None = None

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        dtype = check.require_same_dtype(self.kind(), self.x, self.weight, self.bias)
        check.require_rank(f"{self.kind()} weight", self.weight, 2)
        if self.x.type.rank < 1:
            raise GraphError("fwd.Linear: x needs rank 1 or more", got=self.x.type)
        out, features = self.weight.type.shape
        check.require_equal(f"{self.kind()} input features", features, self.x.type.shape[-1])
        if self.bias is not None:
            check.require_rank(f"{self.kind()} bias", self.bias, 1)
            check.require_equal(f"{self.kind()} bias", out, self.bias.type.shape[0])
        return TensorType(dtype, (*self.x.type.shape[:-1], out))

    def decompose(self, emit: Emitter) -> Value | None:
        from fwd_core.ir.ops.elementwise import Add

        if self.x.type.rank < 2:
            return None
        product = emit(MatMul(self.x, self.weight, transpose_b=True))
        return product if self.bias is None else emit(Add(product, self.bias))


def _matrix(value: Value, transposed: bool) -> tuple[Dim, Dim]:
    rows, columns = value.type.shape[-2:]
    return (columns, rows) if transposed else (rows, columns)
