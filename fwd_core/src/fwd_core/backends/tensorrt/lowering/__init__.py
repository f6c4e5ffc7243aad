"""Lowerings to TensorRT, a module per operator family."""

from fwd_core.backends.tensorrt.lowering import (
    activation,
    attention,
    control,
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
    unary,
)

FAMILIES = (
    elementwise,
    unary,
    activation,
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
    control,
)
