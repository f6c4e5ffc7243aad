"""Lowerings to TensorRT, a module per operator family."""

from fwd_core.backends.tensorrt.lowering import (
    activation,
    attention,
    convolution,
    creation,
    cumulative,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    recurrent,
    reduction,
    scattering,
    shape,
    sorting,
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
    recurrent,
    creation,
    sorting,
    cumulative,
)
