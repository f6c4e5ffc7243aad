"""Rewrites that recognise the parts of transformer encoders, by structure and never by names."""

from __future__ import annotations

from typing import Any

from fwd_core.ir.operator import Operator
from fwd_plugins_bert import ops
from fwd_plugins_bert.fusions import positions
from fwd_plugins_bert.fusions.attention import DropNeutralMask, FuseAttention
from fwd_plugins_bert.fusions.base import Fusion, Refused, refusals
from fwd_plugins_bert.fusions.embedding import FuseEmbeddingNorm
from fwd_plugins_bert.fusions.gelu import FuseGelu
from fwd_plugins_bert.fusions.gelu_bias import FuseGeluBias
from fwd_plugins_bert.fusions.layer_norm import FuseLayerNorm, FuseScaleAndShift
from fwd_plugins_bert.fusions.linear import FuseLinear
from fwd_plugins_bert.fusions.self_attention import FuseSelfAttention
from fwd_plugins_bert.fusions.skip_norm import FuseSkipNorm

__all__ = ["Fusion", "Refused", "fused", "refusals", "written_out"]


def written_out() -> list[Fusion[Any]]:
    """Of parts that are written out, to operators of the core: of use to every backend."""
    return [
        FuseLinear(),
        FuseLayerNorm(),
        FuseScaleAndShift(),
        FuseGelu(),
        *positions.plain(),
        FuseAttention(),
        DropNeutralMask(),
    ]


def fused() -> list[tuple[Fusion[Any], type[Operator]]]:
    """To operators of this pack, with which; of use where a backend has lowerings of them."""
    # These are made of what is here.
    from fwd_plugins_bert.packing.attention import FusePackedSelfAttention
    from fwd_plugins_bert.packing.rows import FusePackedLinear, FusePackedSkipNorm

    return [
        (FuseEmbeddingNorm(), ops.EmbeddingNorm),
        (FuseSkipNorm(), ops.SkipNorm),
        (FuseSelfAttention(), ops.SelfAttention),
        (FusePackedSelfAttention(), ops.PackedSelfAttention),
        (FuseGeluBias(), ops.GeluBias),
        (FusePackedSkipNorm(), ops.PackedSkipNorm),
        (FusePackedLinear(), ops.PackedLinear),
    ]
