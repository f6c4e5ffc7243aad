"""All operators of the core, by family. ``ops.MatMul`` and ``ops.linear.MatMul`` are the same."""

from __future__ import annotations

import inspect

from fwd_core.ir.operator import Operator
from fwd_core.ir.ops import (
    attention,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    reduction,
    scattering,
    shape,
)
from fwd_core.ir.ops.attention import Attention
from fwd_core.ir.ops.convolution import Convolution
from fwd_core.ir.ops.creation import Arange, Constant, DimValue, Full
from fwd_core.ir.ops.elementwise import (
    Abs,
    Add,
    And,
    Cast,
    Ceil,
    Clamp,
    Cos,
    Div,
    Equal,
    Erf,
    Exp,
    Floor,
    FloorDiv,
    Gelu,
    Greater,
    GreaterEqual,
    LeakyRelu,
    Less,
    LessEqual,
    Log,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Not,
    NotEqual,
    Or,
    Pow,
    Reciprocal,
    Relu,
    Sigmoid,
    Sign,
    Silu,
    Sin,
    Sqrt,
    Sub,
    Tanh,
    TruncDiv,
    Where,
    Xor,
)
from fwd_core.ir.ops.indexing import Gather, GatherElements, GatherND
from fwd_core.ir.ops.linear import Linear, MatMul
from fwd_core.ir.ops.normalization import BatchNorm, LayerNorm, Softmax
from fwd_core.ir.ops.pooling import AdaptiveAveragePool, AveragePool, MaxPool
from fwd_core.ir.ops.reduction import (
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
)
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

FAMILIES = (
    elementwise,
    linear,
    convolution,
    pooling,
    normalization,
    reduction,
    shape,
    indexing,
    scattering,
    attention,
    creation,
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
