"""Converters of activations."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Value, ops
from fwd_core.ir.dim_facts import is_equal
from fwd_core.ir.dims import divide_exactly
from fwd_ops_torch.converters._factories import (
    both,
    float_unary,
    in_single,
    require_float,
    same_unary,
)
from fwd_ops_torch.converting import ConversionContext, converts

#: Constants of the self-normalizing unit (Klambauer et al., 2017), as torch writes them.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
_DRAWS_NOTHING = {"generator": "evaluation draws nothing"}

sigmoid = float_unary(__name__, "sigmoid", ops.Sigmoid, "special_expit")
silu = same_unary(__name__, "silu", ops.Silu, "Floats")
relu = same_unary(__name__, "relu", ops.Relu, "Any dtype but bool")
mish = same_unary(__name__, "mish", ops.Mish, "Floats")


@converts("aten::hardtanh", "aten::hardtanh_")
def hardtanh(ctx: ConversionContext, x: Value, min_val: float = -1, max_val: float = 1) -> Value:
    """aten::hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor. Keeps the dtype."""
    dtype = x.type.dtype
    if dtype is DType.BOOL or (dtype is DType.UINT8 and (min_val < 0 or max_val < 0)):
        raise ConversionError(f"{ctx.operator}: not for {dtype} with these limits",
                              got=f"{min_val}, {max_val}")  # fmt: skip
    return ctx.emit(ops.Clamp(x, ctx.fitted(min_val, dtype), ctx.fitted(max_val, dtype)))


@converts("aten::relu6", "aten::relu6_")
def relu6(ctx: ConversionContext, x: Value) -> Value:
    """aten::relu6(Tensor self) -> Tensor."""
    return hardtanh(ctx, x, 0, 6)


@converts("aten::gelu", "aten::gelu_")
def gelu(ctx: ConversionContext, x: Value, approximate: str = "none") -> Value:
    """aten::gelu(Tensor self, *, str approximate="none") -> Tensor. Floats; exact erf or tanh form."""
    if approximate == "none":
        return ctx.emit(ops.Gelu(x, "none"))
    if approximate == "tanh":
        return ctx.emit(ops.Gelu(x, "tanh"))
    raise ConversionError("gelu: unknown approximate", expected="none, tanh", got=approximate)


@converts("aten::leaky_relu", "aten::leaky_relu_")
def leaky_relu(ctx: ConversionContext, x: Value, negative_slope: float = 0.01) -> Value:
    """aten::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor. Floats."""
    return ctx.emit(ops.LeakyRelu(x, float(negative_slope)))


@converts(*both("elu"))
def elu(
    ctx: ConversionContext, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1
) -> Value:
    """aten::elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor.

    Floats: scale * x where x > 0, else scale * alpha * (exp(x * input_scale) - 1).
    """
    require_float(ctx, x)
    if input_scale == 1:
        return ctx.emit(ops.Elu(x, float(alpha), float(scale)))

    def compute(value: Value) -> Value:
        zero, factor, steepness, height = (
            ctx.number(float(number), value.type.dtype)
            for number in (0, scale, input_scale, scale * alpha)
        )
        bent = ctx.emit(ops.Expm1(ctx.emit(ops.Mul(value, steepness))))
        above = ctx.emit(ops.Mul(value, factor), "above")
        below = ctx.emit(ops.Mul(bent, height), "below")
        return ctx.emit(ops.Where(ctx.emit(ops.LessEqual(value, zero)), below, above))

    return in_single(ctx, x, compute)


@converts(*both("selu"))
def selu(ctx: ConversionContext, x: Value) -> Value:
    """aten::selu(Tensor self) -> Tensor. Floats."""
    return elu(ctx, x, _SELU_ALPHA, _SELU_SCALE)


@converts(*both("celu"))
def celu(ctx: ConversionContext, x: Value, alpha: float = 1.0) -> Value:
    """aten::celu(Tensor self, Scalar alpha=1.0) -> Tensor. Floats."""
    if alpha == 0:
        raise ConversionError(f"{ctx.operator}: alpha must not be 0")
    return elu(ctx, x, alpha, 1.0, 1 / alpha)


@converts("aten::softplus")
def softplus(ctx: ConversionContext, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """aten::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor. Floats."""
    require_float(ctx, x)

    def compute(value: Value) -> Value:
        dtype = value.type.dtype
        steepness = ctx.number(float(beta), dtype, "beta")
        scaled = value if beta == 1 else ctx.emit(ops.Mul(value, steepness), "scaled")
        soft = _log_one_plus_exp(ctx, scaled)
        if beta != 1:
            soft = ctx.emit(ops.Div(soft, steepness))
        linear = ctx.emit(ops.Greater(scaled, ctx.number(float(threshold), dtype, "threshold")))
        return ctx.emit(ops.Where(linear, value, soft))

    return in_single(ctx, x, compute)


@converts("aten::log_sigmoid")
def log_sigmoid(ctx: ConversionContext, x: Value) -> Value:
    """aten::log_sigmoid(Tensor self) -> Tensor. Floats."""
    require_float(ctx, x)
    return in_single(
        ctx, x, lambda value: ctx.emit(ops.Neg(_log_one_plus_exp(ctx, ctx.emit(ops.Neg(value)))))
    )


@converts("aten::log_sigmoid_forward")
def log_sigmoid_forward(ctx: ConversionContext, x: Value) -> tuple[Value, Value]:
    """aten::log_sigmoid_forward(Tensor self) -> (Tensor output, Tensor buffer). Floats.

    The buffer is what training on a CPU keeps, exp(-|x|).
    """
    return log_sigmoid(ctx, x), in_single(ctx, x, lambda value: _exp_of_minus_magnitude(ctx, value))


@converts(*both("hardsigmoid"))
def hardsigmoid(ctx: ConversionContext, x: Value) -> Value:
    """aten::hardsigmoid(Tensor self) -> Tensor: (x + 3) / 6 within 0 and 1. Floats."""
    require_float(ctx, x)
    three, sixth = (ctx.number(number, x.type.dtype) for number in (3, 1 / 6))
    limited = ctx.emit(ops.Clamp(ctx.emit(ops.Add(x, three)), 0.0, 6.0))
    return ctx.emit(ops.Mul(limited, sixth))


@converts(*both("hardswish"))
def hardswish(ctx: ConversionContext, x: Value) -> Value:
    """aten::hardswish(Tensor self) -> Tensor: x * hardsigmoid(x). Floats."""
    return ctx.emit(ops.Mul(x, hardsigmoid(ctx, x)))


@converts("aten::glu")
def glu(ctx: ConversionContext, x: Value, dim: int = -1) -> Value:
    """aten::glu(Tensor self, int dim=-1) -> Tensor. Floats: one half times the other's sigmoid."""
    require_float(ctx, x)
    if x.type.rank == 0:
        raise ConversionError("glu: a 0-d tensor has no halves")
    axis = ctx.axis(dim, x.type.rank)
    half = divide_exactly(x.type.shape[axis], 2)
    if half is None:
        raise ConversionError("glu: the size must be even", got=f"{x.type}, dim {axis}")
    first = ctx.emit(ops.Slice(x, axis, 0, half), "first")
    gate = ctx.emit(ops.Sigmoid(ctx.emit(ops.Slice(x, axis, half, half), "second")))
    return ctx.emit(ops.Mul(first, gate))


@converts(*both("threshold"))
def threshold_(ctx: ConversionContext, x: Value, threshold: float, value: float) -> Value:
    """aten::threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor. Not bool."""
    dtype = x.type.dtype
    if dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: not for bool", got=x.type)
    limit, filler = ctx.number(threshold, dtype, "threshold"), ctx.number(value, dtype, "value")
    return ctx.emit(ops.Where(ctx.emit(ops.LessEqual(x, limit)), filler, x))


@converts("aten::hardshrink")
def hardshrink(ctx: ConversionContext, x: Value, lambd: float = 0.5) -> Value:
    """aten::hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor. Floats; 0 where |x| <= lambd."""
    require_float(ctx, x)
    limit, zero = (ctx.number(float(number), x.type.dtype) for number in (lambd, 0))
    return ctx.emit(ops.Where(ctx.emit(ops.LessEqual(ctx.emit(ops.Abs(x)), limit)), zero, x))


@converts("aten::softshrink")
def softshrink(ctx: ConversionContext, x: Value, lambd: float = 0.5) -> Value:
    """aten::softshrink(Tensor self, Scalar lambd=0.5) -> Tensor. Floats; toward 0 by lambd."""
    require_float(ctx, x)
    if not lambd >= 0:
        raise ConversionError("softshrink: lambd must not be negative", got=lambd)
    return ctx.emit(ops.Sub(x, ctx.emit(ops.Clamp(x, -float(lambd), float(lambd)))))


@converts("aten::prelu")
def prelu(ctx: ConversionContext, x: Value, weight: Value) -> Value:
    """aten::prelu(Tensor self, Tensor weight) -> Tensor. Floats; one slope, or one per channel."""
    require_float(ctx, x)
    kind = weight.type
    if kind.dtype is not x.type.dtype:
        raise ConversionError("prelu: self and weight are of one dtype", expected=x.type, got=kind)
    if kind.rank > 1:
        raise ConversionError("prelu: weight has at most 1 axis", got=kind)
    ones = [1] * x.type.rank
    if is_equal(kind.numel, 1) is True:
        return _sloped(ctx, x, ctx.emit(ops.Reshape(weight, tuple(ones))))
    channels = x.type.shape[1] if x.type.rank > 1 else 1
    if x.type.rank == 0 or is_equal(kind.numel, channels) is not True:
        raise ConversionError("prelu: one slope, or one per channel", expected=channels, got=kind)
    shape = (1, kind.numel, *ones[2:])
    return _sloped(ctx, x, ctx.emit(ops.Reshape(weight, shape)))


@converts("aten::_prelu_kernel")
def prelu_kernel(ctx: ConversionContext, x: Value, weight: Value) -> Value:
    """aten::_prelu_kernel(Tensor self, Tensor weight) -> Tensor. Floats; weight broadcasts."""
    require_float(ctx, x)
    return _sloped(ctx, x, weight)


@converts(*both("rrelu"), no_effect=_DRAWS_NOTHING)
def rrelu(
    ctx: ConversionContext,
    x: Value,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
) -> Value:
    """aten::rrelu(Tensor self, Scalar lower=1/8, Scalar upper=1/3, bool training=False, Generator? generator=None) -> Tensor.

    Floats, evaluation: leaky_relu with the mean slope.
    """
    require_float(ctx, x)
    if training:
        raise ctx.unsupported("training", "slopes in training mode are random", "call model.eval()")
    if not lower <= upper:
        raise ConversionError(
            f"{ctx.operator}: lower must not be above upper", got=f"{lower}, {upper}"
        )
    return leaky_relu(ctx, x, (lower + upper) / 2)


@converts(
    *both("rrelu_with_noise"),
    no_effect=_DRAWS_NOTHING | {"noise": "it is written in training mode only"},
)
def rrelu_with_noise(
    ctx: ConversionContext,
    x: Value,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
) -> Value:
    """aten::rrelu_with_noise(Tensor self, Tensor(b!) noise, Scalar lower=1/8, Scalar upper=1/3, bool training=False, Generator? generator=None) -> Tensor."""
    return rrelu(ctx, x, lower, upper, training)


@converts("aten::rrelu_with_noise_functional", no_effect=_DRAWS_NOTHING)
def rrelu_with_noise_functional(
    ctx: ConversionContext,
    x: Value,
    noise: Value,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
) -> tuple[Value, Value]:
    """aten::rrelu_with_noise_functional(Tensor self, Tensor noise, Scalar lower=1/8, Scalar upper=1/3, bool training=False, Generator? generator=None) -> (Tensor, Tensor noise_out)."""
    return rrelu(ctx, x, lower, upper, training), noise


def _sloped(ctx: ConversionContext, x: Value, slope: Value) -> Value:
    return ctx.emit(ops.PRelu(x, slope))


def _exp_of_minus_magnitude(ctx: ConversionContext, x: Value) -> Value:
    return ctx.emit(ops.Exp(ctx.emit(ops.Neg(ctx.emit(ops.Abs(x))))))


def _log_one_plus_exp(ctx: ConversionContext, x: Value) -> Value:
    """log(1 + exp(x)) that neither overflows nor loses the digits of a small exp(x)."""
    rest = ctx.emit(ops.Log1p(_exp_of_minus_magnitude(ctx, x)))
    return ctx.emit(ops.Add(ctx.emit(ops.Relu(x)), rest))
