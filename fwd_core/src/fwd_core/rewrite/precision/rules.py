"""Which operators compute in half precision: a table, and how packs extend it.

Half has 11 bits of precision, a greatest value of 65504 and a least positive one of 6e-8. What
follows from that is said per operator by a :class:`Rule`:

- products and convolutions are where the time goes, and accumulate in float32 on every GPU;
- statistics, sums of many elements, exponentials, powers and what divides by small numbers leave
  the range, or lose what matters: they stay in float32;
- what rounds or counts in whole numbers stays too, since half has no odd integers above 2048;
  8-bit numbers have a place in it all, so no casts come between a product and what quantizes it;
- element-by-element arithmetic goes with the tensors that it combines;
- what only moves or picks elements goes with its operand.

An operator of a pack says its own rule as a class attribute, ``half_precision = Rule.HALF``;
without one it computes in float32.
"""

from __future__ import annotations

import enum

from fwd_core.ir import ops
from fwd_core.ir.operator import Operator


class Rule(enum.Enum):
    """In what an operator of float32 operands computes when a graph is turned to half.

    Attributes:
        HALF: In half.
        FLOAT32: In float32.
        ARITHMETIC: In half, unless all that it combines was left in float32 on purpose.
        FOLLOW: In the type that its operand has come to have.
    """

    HALF = "half"
    FLOAT32 = "float32"
    ARITHMETIC = "arithmetic"
    FOLLOW = "follow"


_HALF: tuple[type[Operator], ...] = (
    ops.MatMul,
    ops.Linear,
    ops.Convolution,
    ops.ConvolutionTranspose,
    ops.Attention,  # backends keep its softmax in float32
    ops.Lstm,
    ops.Gru,
    ops.Rnn,
    ops.BatchNorm,  # with scale and shift folded beforehand: see fold.py
    ops.AveragePool,
    ops.Dequantize,  # its result; scales stay in float32
)
_FLOAT32: tuple[type[Operator], ...] = (
    ops.LayerNorm,
    ops.GroupNorm,
    ops.Softmax,
    ops.ReduceSum,
    ops.ReduceMean,
    ops.ReduceProd,
    ops.CumSum,
    ops.ScatterElements,  # many elements may be summed at one place
    ops.ScatterND,
    ops.TopK,  # numbers that differ in float32 only would tie
    ops.AdaptiveAveragePool,
    ops.GridSample,  # a position in half is off by elements of large images
    ops.Exp,
    ops.Log,
    ops.Pow,
    ops.Sqrt,
    ops.Reciprocal,
    ops.Expm1,
    ops.Log1p,
    ops.Sin,
    ops.Cos,
    ops.Tan,
    ops.Asin,
    ops.Acos,
    ops.Atan,
    ops.Sinh,
    ops.Cosh,
    ops.Asinh,
    ops.Acosh,
    ops.Atanh,
    ops.Floor,
    ops.Ceil,
    ops.Round,
    ops.FloorDiv,
    ops.TruncDiv,
    ops.Mod,
    ops.If,  # its edges; what its branches compute follows the rules again
)
_ARITHMETIC: tuple[type[Operator], ...] = (
    ops.Add,
    ops.Sub,
    ops.Mul,
    ops.Div,
    ops.Maximum,
    ops.Minimum,
    ops.Where,
    ops.Erf,
    ops.Tanh,
    ops.Sigmoid,
    ops.Silu,
    ops.Gelu,
    ops.LeakyRelu,
    ops.PRelu,
    ops.Elu,
    ops.Mish,
    ops.Resize,  # positions are float32 all the same
)
_FOLLOW: tuple[type[Operator], ...] = (
    ops.Relu,
    ops.Abs,
    ops.Neg,
    ops.Sign,
    ops.Clamp,
    ops.Equal,
    ops.NotEqual,
    ops.Less,
    ops.LessEqual,
    ops.Greater,
    ops.GreaterEqual,
    ops.MaxPool,
    ops.ReduceMax,
    ops.ReduceMin,
    ops.Reshape,
    ops.Squeeze,
    ops.Unsqueeze,
    ops.Transpose,
    ops.Expand,
    ops.Concat,
    ops.Slice,
    ops.Pad,
    ops.Gather,
    ops.GatherElements,
    ops.GatherND,
    ops.Cast,
    ops.Quantize,  # scales stay in float32
)

#: The rule of every operator of the core that takes floats.
RULES: dict[type[Operator], Rule] = {
    **dict.fromkeys(_HALF, Rule.HALF),
    **dict.fromkeys(_FLOAT32, Rule.FLOAT32),
    **dict.fromkeys(_ARITHMETIC, Rule.ARITHMETIC),
    **dict.fromkeys(_FOLLOW, Rule.FOLLOW),
}
#: Picking rows of a constant table in half halves the largest constant of many language models.
TABLES: tuple[type[Operator], ...] = (ops.Gather, ops.GatherElements, ops.GatherND)


def rule_of(op: Operator) -> Rule:
    """The rule of an operator: its class's own, the table's, or float32."""
    own = getattr(type(op), "half_precision", None)
    return own if isinstance(own, Rule) else RULES.get(type(op), Rule.FLOAT32)
