"""Functions of each element of one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np

from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

#: Narrower floats that decompositions compute in float32, as torch does.
_HALVES = (DType.FLOAT16, DType.BFLOAT16)


@operator
class FloatUnary(Operator, abstract=True):
    """Base of functions of one float tensor; same shape and dtype out."""

    x: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        return self.x.type


@operator
class NumberUnary(Operator, abstract=True):
    """Base of functions of one tensor of numbers; same shape and dtype out."""

    x: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.NUMBERS)
        return self.x.type


@operator
class Abs(NumberUnary):
    """The magnitude of x."""


@operator
class Neg(NumberUnary):
    """x negated; integers wrap."""


@operator
class Sign(NumberUnary):
    """-1, 0 or 1 as x is negative, zero or positive."""


@operator
class Exp(FloatUnary):
    """e to the power x."""


@operator
class Log(FloatUnary):
    """Natural logarithm of x."""


@operator
class Sqrt(FloatUnary):
    """Square root of x."""


@operator
class Reciprocal(FloatUnary):
    """1 / x."""


@operator
class Erf(FloatUnary):
    """The Gauss error function of x."""


@operator
class Sin(FloatUnary):
    """Sine of x in radians."""


@operator
class Cos(FloatUnary):
    """Cosine of x in radians."""


@operator
class Tanh(FloatUnary):
    """Hyperbolic tangent of x."""


@operator
class Floor(FloatUnary):
    """The greatest integer not above x."""


@operator
class Ceil(FloatUnary):
    """The least integer not below x."""


@operator
class Tan(FloatUnary):
    """Tangent of x in radians."""


@operator
class Asin(FloatUnary):
    """The angle in radians, -pi/2 to pi/2, whose sine is x; NaN beyond 1."""


@operator
class Acos(FloatUnary):
    """The angle in radians, 0 to pi, whose cosine is x; NaN beyond 1."""


@operator
class Atan(FloatUnary):
    """The angle in radians, -pi/2 to pi/2, whose tangent is x."""


@operator
class Sinh(FloatUnary):
    """Hyperbolic sine of x."""


@operator
class Cosh(FloatUnary):
    """Hyperbolic cosine of x."""


@operator
class Asinh(FloatUnary):
    """The number whose hyperbolic sine is x."""


@operator
class Acosh(FloatUnary):
    """The number of 0 or more whose hyperbolic cosine is x; NaN below 1."""


@operator
class Atanh(FloatUnary):
    """The number whose hyperbolic tangent is x; NaN beyond 1."""


@operator
class Round(FloatUnary):
    """The integer nearest to x, the even one of two: 0.5 gives 0 and 1.5 gives 2."""


@operator
class Expm1(FloatUnary):
    r"""e to the power x, less 1: near 0 without the digits that the subtraction would lose.

    Decomposed, it is right to some 3e-7 of the result: the first terms of its power series where
    \|x\| <= 0.35, beyond that the exponential less 1.
    """

    def decompose(self, emit: Emitter) -> Value:
        def compute(x: Value) -> Value:
            series = _times_polynomial(emit, x, x, [1 / math.factorial(n) for n in range(1, 8)])
            from_exp = emit(_elementwise().Sub(emit(Exp(x), "exp"), _number(emit, x, 1.0)), "far")
            return _near_zero(emit, x, 0.35, series, from_exp)

        return in_single(emit, self.x, compute)


@operator
class Log1p(FloatUnary):
    r"""Natural logarithm of 1 + x: near 0 without the digits that the sum would lose.

    Decomposed, it is right to some 3e-7 of the result: where \|x\| <= 0.25, 2 atanh(s) by the
    first terms of its power series, for s = x / (2 + x); beyond that the logarithm of 1 + x.
    """

    def decompose(self, emit: Emitter) -> Value:
        ew = _elementwise()

        def compute(x: Value) -> Value:
            ratio = emit(ew.Div(x, emit(ew.Add(x, _number(emit, x, 2.0)), "plus_two")), "ratio")
            squared = emit(ew.Mul(ratio, ratio), "squared")
            odd = [2 / n for n in (1, 3, 5, 7, 9, 11)]
            series = _times_polynomial(emit, ratio, squared, odd)
            from_log = emit(Log(emit(ew.Add(x, _number(emit, x, 1.0)), "plus_one")), "far")
            return _near_zero(emit, x, 0.25, series, from_log)

        return in_single(emit, self.x, compute)


def in_single(emit: Emitter, x: Value, compute: Callable[[Value], Value]) -> Value:
    """The result of ``compute`` in the dtype of x, computed in float32 where that is wider."""
    dtype = x.type.dtype
    if dtype not in _HALVES:
        return compute(x)
    ew = _elementwise()
    return emit(ew.Cast(compute(emit(ew.Cast(x, DType.FLOAT32), "single")), dtype), "rounded")


def _times_polynomial(emit: Emitter, factor: Value, x: Value, terms: Sequence[float]) -> Value:
    """``factor * (terms[0] + terms[1] * x + ...)``, by Horner's rule."""
    ew = _elementwise()
    total = _number(emit, x, terms[-1])
    for ordinal, term in enumerate(terms[-2::-1]):
        product = emit(ew.Mul(total, x), f"product_{ordinal}")
        total = emit(ew.Add(product, _number(emit, x, term)), f"sum_{ordinal}")
    return emit(ew.Mul(factor, total), "series")


def _near_zero(emit: Emitter, x: Value, limit: float, near: Value, far: Value) -> Value:
    ew = _elementwise()
    is_near = emit(ew.LessEqual(emit(Abs(x), "magnitude"), _number(emit, x, limit)), "is_near")
    return emit(ew.Where(is_near, near, far), "result")


def _number(emit: Emitter, like: Value, number: float) -> Value:
    return emit.constant(Tensor(np.array(number)).astype(like.type.dtype), "number")


def _elementwise() -> ModuleType:
    # Its operators derive from the bases above.
    from fwd_core.ir.ops import elementwise

    return elementwise
