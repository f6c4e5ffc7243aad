"""What each operator is to int8: tables that :mod:`.plan` decides by.

The rules follow NVIDIA's recommendations for explicit precision (TensorRT Developer Guide,
"Explicit Quantization" and "Q/DQ Layer-Placement Recommendations"; of residual networks also
TensorFlow Quantization Toolkit, "Add Custom QDQ Insertion Case") and what OpenVINO carries on
(OpenVINO documentation, "Low Precision Transformations"):

- all inputs of weighted operators are quantized, and their outputs are not: an output becomes
  int8 because a reader's pair fuses with what computes it;
- activations have one scale, weights one per output channel, and everything is symmetric, but
  for activations that are never much below 0 on backends that take uint8 (:mod:`.steps`);
- no pair stands between a product and the activation or addition that fuses with it;
- of an addition after a product the *other* input is quantized, since its type decides the type
  that the fused kernel writes; a pair on both would part the product from its addition. Of
  other additions between tensors in int8 both are, which makes one kernel of int8;
- pairs move over what only moves or picks numbers, whose scale stays what it was.
"""

from __future__ import annotations

from fwd_core.ir import ops
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator

#: Operators that multiply tensors; what int8 is for.
PRODUCTS: tuple[type[Operator], ...] = (
    ops.Convolution,
    ops.ConvolutionTranspose,
    ops.Linear,
    ops.MatMul,
)
CONVOLUTIONS = (ops.Convolution, ops.ConvolutionTranspose)
#: Functions of each element that kernels of products take in.
ACTIVATIONS: tuple[type[Operator], ...] = (
    ops.Relu,
    ops.Clamp,
    ops.LeakyRelu,
    ops.PRelu,
    ops.Sigmoid,
    ops.Silu,
    ops.Gelu,
    ops.Elu,
    ops.Mish,
    ops.Tanh,
    ops.Erf,
)
_MOVES = (ops.Reshape, ops.Squeeze, ops.Unsqueeze, ops.Transpose, ops.Expand, ops.Slice)
#: Between scores and softmax, or between softmax and what it weighs.
AROUND_SOFTMAX: tuple[type[Operator], ...] = (
    *_MOVES,
    ops.Add,
    ops.Sub,
    ops.Mul,
    ops.Div,
    ops.Where,
    ops.Maximum,
    ops.Cast,
)
#: Why products around a softmax stay in float.
ATTENTION = "the products of attention stay in float unless attention=True"
#: Why a convolution does where the backend says that its kernels add no floats.
FLOAT_SUM = "it is added to floats, which no kernel of 8 bits of this backend does"
_REASONS: tuple[tuple[tuple[type[Operator], ...], str], ...] = (
    ((ops.Softmax,), "exponentials stay in float"),
    ((ops.Attention,), ATTENTION),
    ((ops.LayerNorm, ops.GroupNorm), "statistics stay in float"),
    ((ops.BatchNorm,), "a normalization that is no part of a product stays in float"),
    ((ops.Gather, ops.GatherElements, ops.GatherND), "tables and picked elements stay in float"),
    ((ops.Lstm, ops.Gru, ops.Rnn), "recurrent layers stay in float"),
    ((ops.If,), "graphs of branches are left alone"),
    (
        (ops.ReduceSum, ops.ReduceMean, ops.ReduceProd, ops.ReduceMax, ops.ReduceMin),
        "reductions stay in float",
    ),
    ((ops.AdaptiveAveragePool,), "reductions stay in float"),
    (ACTIVATIONS, "fuses with what is before it, and the pair comes after it"),
    ((ops.MaxPool, *_MOVES, ops.Concat, ops.Pad), "what it moves is in float here"),
    ((ops.AveragePool,), "what it averages is in float here"),
    ((ops.Add,), "what it adds, or its result, is in float here"),
)


def passed_on(op: Operator) -> tuple[Value, ...]:
    """The operands whose numbers an operator hands on unchanged, so that int8 can pass it.

    None of them if it changes, sums or makes numbers. Nearest neighbours would be handed on too,
    but TensorRT-RTX 1.7 computes a convolution in half when the pair stands before them.
    """
    if isinstance(op, (ops.MaxPool, *_MOVES)):
        return (op.x,)
    if isinstance(op, ops.Concat):
        return op.values
    if isinstance(op, ops.Pad) and (op.mode != "constant" or op.value == 0):
        return (op.x,)
    return ()


def reason(op: Operator) -> str:
    """Why an operator that nothing else was said of stays in float."""
    for kinds, text in _REASONS:
        if isinstance(op, kinds):
            return text
    return "has no int8 form"
