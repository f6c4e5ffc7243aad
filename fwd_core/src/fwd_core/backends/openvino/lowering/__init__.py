"""Lowerings of the core's operators to OpenVINO, a module per operator family.

What OpenVINO computes otherwise than the operators say is composed from what it computes
right. Left as they are, because composing them would cost the models that matter their fused
kernels: relu, clamp, max pooling and softmax may lose a NaN, and exp is infinite from 88.4 on
(torch: 88.7).
"""

from fwd_core.backends.openvino.lowering import (
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

__all__ = [
    "FAMILIES",
    "attention",
    "convolution",
    "creation",
    "elementwise",
    "indexing",
    "linear",
    "normalization",
    "pooling",
    "reduction",
    "scattering",
    "shape",
]
