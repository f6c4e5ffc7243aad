"""Lowerings of the core's operators to OpenVINO, a module per operator family.

What OpenVINO computes otherwise than the operators say is composed from what it computes
right. Left as they are, because composing them would cost the models that matter their fused
kernels: relu, clamp (and what is made of it, as a hard sigmoid), max pooling and softmax may lose
a NaN, and exp is infinite from 88.4 on (torch: 88.7).
"""

from fwd_core.backends.openvino.lowering import (
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
    control,
    quantization,
)

__all__ = [
    "FAMILIES",
    "activation",
    "attention",
    "bitwise",
    "control",
    "convolution",
    "creation",
    "cumulative",
    "elementwise",
    "indexing",
    "linear",
    "normalization",
    "pooling",
    "quantization",
    "recurrent",
    "reduction",
    "scattering",
    "resize",
    "sampling",
    "shape",
    "sorting",
    "unary",
]
