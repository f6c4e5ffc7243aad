"""Lowerings to TensorRT, a module per operator family."""

from fwd_core.backends.tensorrt.lowering import (
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
