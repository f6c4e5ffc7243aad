"""Activations: functions that stand between the layers of a network."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fwd_core.errors import GraphError
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.elementwise import Add, Div, Greater, Mul, Where
from fwd_core.ir.ops.unary import Abs, Exp, FloatUnary, Neg, NumberUnary, in_single
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType


@operator
class Relu(NumberUnary):
    """max(x, 0). Of a NaN OpenVINO makes 0, inside of the layer before."""


@operator
class Sigmoid(FloatUnary):
    """1 / (1 + exp(-x))."""


@operator
class Silu(FloatUnary):
    """x * sigmoid(x), also called swish."""


@operator
class Gelu(FloatUnary):
    """The Gaussian error linear unit of x (Hendrycks and Gimpel, 2016).

    ``none`` is the exact form x/2 * (1 + erf(x / sqrt(2))); ``tanh`` is
    x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). The two differ by up to 5e-4.
    """

    approximate: Literal["none", "tanh"] = "none"


@operator
class LeakyRelu(FloatUnary):
    """x where x > 0, else alpha * x."""

    alpha: float = 0.01


@operator
class Elu(FloatUnary):
    """scale * x where x > 0, else scale * alpha * (exp(x) - 1).

    The exponential linear unit of Clevert et al. (2015), and with a scale the self-normalizing
    one of Klambauer et al. (2017).
    """

    alpha: float = 1.0
    scale: float = 1.0


@operator
class Mish(FloatUnary):
    """x * tanh(log(1 + exp(x))) (Misra, 2019).

    Decomposed, the tangent is n / (n + 2) for n = e * (e + 2), e = exp(x), which has no logarithm.
    Of a positive x both are divided by e * e, so that nothing overflows.
    """

    def decompose(self, emit: Emitter) -> Value:
        def compute(x: Value) -> Value:
            zero, one, two = (emit.constant(_number(x, n), "number") for n in (0, 1, 2))
            power = emit(Exp(emit(Neg(emit(Abs(x), "magnitude")), "negated")), "exp")
            squared, double = emit(Mul(power, power), "squared"), emit(Mul(power, two), "double")
            positive = emit(Greater(x, zero), "positive")
            first = emit(Where(positive, one, squared), "first")
            last = emit(Where(positive, squared, one), "last")
            part = emit(Add(first, double), "part")
            whole = emit(Add(part, emit(Mul(last, two), "twice_last")), "whole")
            return emit(Mul(x, emit(Div(part, whole), "tangent")), "mish")

        return in_single(emit, self.x, compute)


@operator
class PRelu(Operator):
    """x where x > 0, else slope * x (He et al., 2015). The slope broadcasts to the shape of x."""

    x: Value
    slope: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        check.require_same_dtype(self.kind(), self.x, self.slope)
        shape = check.broadcast(self.kind(), self.x, self.slope)
        if len(shape) != self.x.type.rank:
            raise GraphError(
                f"{self.kind()}: the slope has more axes than x",
                expected=f"at most {self.x.type.rank}",
                got=self.slope.type,
            )
        for size, wanted in zip(shape, self.x.type.shape, strict=True):
            check.require_equal(self.kind(), size, wanted)
        return self.x.type

    def decompose(self, emit: Emitter) -> Value:
        positive = emit(Greater(self.x, emit.constant(_number(self.x, 0), "zero")), "positive")
        return emit(Where(positive, self.x, emit(Mul(self.x, self.slope), "sloped")), "prelu")


def _number(like: Value, number: float) -> Tensor:
    return Tensor(np.array(float(number))).astype(like.type.dtype)
