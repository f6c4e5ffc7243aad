"""Sums beside convolutions of 8 bits, which TensorRT 8.6 makes one layer of.

It has kernels for that layer where the other tensor and the result are of 8 bits too. For floats
it has none, and a build ends with ``!n->candidateRequirements.empty()`` (NVIDIA/TensorRT#3040).
"""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.ir import ops
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator

#: What TensorRT computes in the layer of the sum before it quantizes.
_ACTIVATIONS: tuple[type[Operator], ...] = (ops.Relu, ops.Clamp)


def apart(ctx: TensorRTLowering, op: ops.Add, value: Value, x: ITensor) -> ITensor:
    """An operand as the sum is to read it: apart from its convolution where floats are added."""
    other = op.b if value is op.a else op.a
    if not _of_bytes(value) or (_dequantized(other) and _quantized(_sum(op))):
        return x
    # Nothing changes, but TensorRT does not look through an activation.
    return ctx("activation", x, ctx.trt.ActivationType.LEAKY_RELU, alpha=1.0)


def _of_bytes(value: Value) -> bool:
    """Whether a convolution of 8 bits makes it, for the sum alone."""
    maker = value.producer
    if maker is not None and isinstance(maker.op, ops.BatchNorm):
        maker = maker.op.x.producer
    convolution = None if maker is None else maker.op
    if not isinstance(convolution, (ops.Convolution, ops.ConvolutionTranspose)):
        return False
    return _dequantized(convolution.x)


def _dequantized(value: Value) -> bool:
    return value.producer is not None and isinstance(value.producer.op, ops.Dequantize)


def _sum(op: ops.Add) -> Value:
    return next(user for user in op.a.users if user.op is op).output


def _quantized(value: Value) -> bool:
    """Whether it is only read as 8 bits, at most behind an activation."""
    users = list(value.users)
    if value in value.graph.outputs or not users:
        return False
    if len(users) == 1 and isinstance(users[0].op, _ACTIVATIONS):
        return _quantized(users[0].output)
    return all(isinstance(user.op, ops.Quantize) for user in users)
