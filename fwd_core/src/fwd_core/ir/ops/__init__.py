"""All operators of the core, by family. ``ops.MatMul`` and ``ops.linear.MatMul`` are the same."""

from __future__ import annotations

import inspect

from fwd_core.ir.operator import Operator
from fwd_core.ir.ops import (
    activation,
    attention,
    bitwise,
    control,
    convolution,
    creation,
    cumulative,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    quantization,
    recurrent,
    reduction,
    resize,
    sampling,
    scattering,
    shape,
    sorting,
    unary,
)
from fwd_core.ir.ops.activation import (
    Elu,
    Gelu,
    LeakyRelu,
    Mish,
    PRelu,
    Relu,
    Sigmoid,
    Silu,
)
from fwd_core.ir.ops.attention import Attention
from fwd_core.ir.ops.bitwise import BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight
from fwd_core.ir.ops.control import If
from fwd_core.ir.ops.convolution import Convolution, ConvolutionTranspose
from fwd_core.ir.ops.creation import Arange, Constant, DimValue, Full
from fwd_core.ir.ops.cumulative import CumSum
from fwd_core.ir.ops.elementwise import (
    Add,
    And,
    Cast,
    Clamp,
    Div,
    Equal,
    FloorDiv,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Not,
    NotEqual,
    Or,
    Pow,
    Sub,
    TruncDiv,
    Where,
    Xor,
)
from fwd_core.ir.ops.indexing import Gather, GatherElements, GatherND
from fwd_core.ir.ops.linear import Linear, MatMul
from fwd_core.ir.ops.normalization import BatchNorm, GroupNorm, LayerNorm, Softmax
from fwd_core.ir.ops.pooling import AdaptiveAveragePool, AveragePool, MaxPool
from fwd_core.ir.ops.quantization import Dequantize, Quantize
from fwd_core.ir.ops.recurrent import Gru, Lstm, Rnn
from fwd_core.ir.ops.reduction import (
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
)
from fwd_core.ir.ops.resize import Resize
from fwd_core.ir.ops.sampling import GridSample
from fwd_core.ir.ops.scattering import ScatterElements, ScatterND
from fwd_core.ir.ops.shape import (
    Concat,
    Expand,
    Pad,
    Reshape,
    Slice,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from fwd_core.ir.ops.sorting import TopK
from fwd_core.ir.ops.unary import (
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Ceil,
    Cos,
    Cosh,
    Erf,
    Exp,
    Expm1,
    Floor,
    Log,
    Log1p,
    Neg,
    Reciprocal,
    Round,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
)

FAMILIES = (
    elementwise,
    unary,
    activation,
    bitwise,
    linear,
    convolution,
    pooling,
    resize,
    sampling,
    normalization,
    reduction,
    shape,
    indexing,
    scattering,
    attention,
    recurrent,
    creation,
    sorting,
    cumulative,
    quantization,
    control,
)


def core_operators() -> list[type[Operator]]:
    """Every concrete operator of the families, in the order of their files."""
    return [
        member
        for family in FAMILIES
        for member in vars(family).values()
        if inspect.isclass(member)
        and issubclass(member, Operator)
        and member.__module__ == family.__name__
        and not member.abstract
    ]
