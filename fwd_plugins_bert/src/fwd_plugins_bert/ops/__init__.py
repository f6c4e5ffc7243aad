"""Fused operators: parts of transformer encoders that some backends compute in one kernel.

Each has a decomposition into operators of the core, so that every backend takes it.
"""

from __future__ import annotations

from fwd_core.ir.operator import Operator
from fwd_plugins_bert.ops.activation import GeluBias
from fwd_plugins_bert.ops.attention import SelfAttention
from fwd_plugins_bert.ops.embedding import EmbeddingNorm
from fwd_plugins_bert.ops.normalization import SkipNorm
from fwd_plugins_bert.ops.packed_attention import PackedSelfAttention
from fwd_plugins_bert.ops.packed_rows import PackedLinear, PackedSkipNorm

__all__ = [
    "ALL",
    "EmbeddingNorm",
    "GeluBias",
    "PackedLinear",
    "PackedSelfAttention",
    "PackedSkipNorm",
    "SelfAttention",
    "SkipNorm",
]

#: Every operator of the pack.
ALL: tuple[type[Operator], ...] = (
    EmbeddingNorm,
    SelfAttention,
    PackedSelfAttention,
    PackedLinear,
    PackedSkipNorm,
    SkipNorm,
    GeluBias,
)
