"""Lowerings to TensorRT by plugins: those that NVIDIA ships with 8.6 to 10.13, and two of our own.

Which are registered is said by :mod:`fwd_plugins_bert.tensorrt.choice`, and fused operators are
made for TensorRT only where theirs are. TensorRT 11 has none of NVIDIA's and RTX has no plugins,
and there the operators are decomposed in any case.
"""

from __future__ import annotations

from types import ModuleType


def modules(names: tuple[str, ...]) -> list[ModuleType]:
    """The modules whose lowerings go by these names."""
    from fwd_plugins_bert.tensorrt import (
        attention,
        embedding,
        gelu,
        packed_attention,
        packed_linear,
        packed_skip_norm,
        products,
        skip_norm,
        turned_gelu,
    )
    from fwd_plugins_bert.tensorrt.own import embedding as own_embedding
    from fwd_plugins_bert.tensorrt.own import skip_norm as own_skip_norm

    by_name = {
        "gelu": [gelu],
        "skip": [skip_norm],
        # What is between two attentions can then stay in the order that its plugin wants.
        "qkv": [attention, products, turned_gelu],
        "emb": [embedding],
        "packed": [packed_attention],
        "packed-skip": [packed_skip_norm],
        "packed-fc": [packed_linear],
        "fc": [products],
        "own-skip": [own_skip_norm],
        "own-emb": [own_embedding],
    }
    return list(dict.fromkeys(module for name in names for module in by_name[name]))
