"""Converters of aten operators, a module per family of the graph's operators."""

from fwd_ops_torch.converters import (
    activation,
    attention,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    reduction,
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
    attention,
    creation,
)

__all__ = ["FAMILIES"]
