"""Converters of aten operators, a module per family of the graph's operators."""

from fwd_ops_torch.converters import (
    activation,
    assignment,
    attention,
    convolution,
    creation,
    diagonals,
    elementwise,
    embedding,
    indexing,
    joining,
    layout,
    linear,
    normalization,
    pooling,
    reduction,
    scattering,
    shape,
    slicing,
    splitting,
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
    layout,
    joining,
    slicing,
    splitting,
    diagonals,
    indexing,
    scattering,
    assignment,
    embedding,
    attention,
    creation,
)

__all__ = ["FAMILIES"]
