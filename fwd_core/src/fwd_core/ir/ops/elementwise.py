"""Operators that act on each element alone; binary ones broadcast as NumPy does.

There is no implicit promotion: operands of one operator have one element type, and importers
insert :class:`Cast` where the source framework promotes.
"""

from __future__ import annotations

from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.unary import NumberUnary
from fwd_core.ir.types import TensorType


@operator
class Cast(Operator):
    """x converted to ``dtype``: floats truncate toward zero to integers, nonzero is true."""

    x: Value
    dtype: DType

    def infer(self) -> TensorType:
        return self.x.type.with_dtype(self.dtype)


@operator
class Clamp(NumberUnary):
    """x limited to [minimum, maximum]; a bound that is None does not limit.

    Of a NaN between two bounds OpenVINO makes the lower one, inside of the layer before.
    """

    minimum: int | float | None = None
    maximum: int | float | None = None


@operator
class NumberBinary(Operator, abstract=True):
    """Base of functions of two tensors of numbers of one dtype; the same dtype out."""

    a: Value
    b: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.a, check.NUMBERS)
        dtype = check.require_same_dtype(self.kind(), self.a, self.b)
        return TensorType(dtype, check.broadcast(self.kind(), self.a, self.b))


@operator
class Add(NumberBinary):
    """a + b; integers wrap."""


@operator
class Sub(NumberBinary):
    """a - b; integers wrap."""


@operator
class Mul(NumberBinary):
    """a * b; integers wrap."""


@operator
class Maximum(NumberBinary):
    """The greater of a and b."""


@operator
class Minimum(NumberBinary):
    """The smaller of a and b."""


@operator
class FloorDiv(NumberBinary):
    """a / b rounded toward minus infinity. Integer division by zero is undefined."""


@operator
class TruncDiv(NumberBinary):
    """a / b rounded toward zero. Integer division by zero is undefined."""


@operator
class Mod(NumberBinary):
    """a - floor(a / b) * b, with the sign of b. Integer modulo by zero is undefined."""


@operator
class Div(NumberBinary):
    """a / b, true division of floats."""

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.a, check.FLOATS)
        return super().infer()


@operator
class Pow(NumberBinary):
    """a to the power b. Negative integer exponents of integers are undefined."""


@operator
class Comparison(Operator, abstract=True):
    """Base of comparisons of two tensors of one dtype; bool out."""

    a: Value
    b: Value

    def infer(self) -> TensorType:
        check.require_same_dtype(self.kind(), self.a, self.b)
        return TensorType(DType.BOOL, check.broadcast(self.kind(), self.a, self.b))


@operator
class Equal(Comparison):
    """a == b; NaN equals nothing."""


@operator
class NotEqual(Comparison):
    """a != b; NaN differs from everything."""


@operator
class Less(Comparison):
    """a < b."""


@operator
class LessEqual(Comparison):
    """a <= b."""


@operator
class Greater(Comparison):
    """a > b."""


@operator
class GreaterEqual(Comparison):
    """a >= b."""


@operator
class LogicalBinary(Operator, abstract=True):
    """Base of functions of two bool tensors; bool out."""

    a: Value
    b: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.a, check.BOOL)
        check.require_dtype(self.kind(), self.b, check.BOOL)
        return TensorType(DType.BOOL, check.broadcast(self.kind(), self.a, self.b))


@operator
class And(LogicalBinary):
    """a and b."""


@operator
class Or(LogicalBinary):
    """a or b."""


@operator
class Xor(LogicalBinary):
    """a or b, not both."""


@operator
class Not(Operator):
    """True where the bool x is false."""

    x: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.BOOL)
        return self.x.type


@operator
class Where(Operator):
    """a where the bool condition holds, else b; all three broadcast, a and b have one dtype."""

    condition: Value
    a: Value
    b: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.condition, check.BOOL)
        dtype = check.require_same_dtype(self.kind(), self.a, self.b)
        return TensorType(dtype, check.broadcast(self.kind(), self.condition, self.a, self.b))
