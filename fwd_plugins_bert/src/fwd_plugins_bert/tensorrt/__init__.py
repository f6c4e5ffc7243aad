"""Lowerings to TensorRT 8.6 to 10.13, by the plugins for BERT that NVIDIA ships with it.

They are registered only if they are asked for (:mod:`fwd_plugins_bert.tensorrt.choice`), so that
fused operators are made for TensorRT only then. TensorRT 11 and RTX have no such plugins, and
there the operators are decomposed in any case.
"""

from __future__ import annotations

from types import ModuleType


def modules(names: tuple[str, ...]) -> list[ModuleType]:
    """The modules whose lowerings go by these names."""
    from fwd_plugins_bert.tensorrt import attention, embedding, gelu, products, skip_norm, tanh

    by_name = {
        "gelu": [gelu],
        "skip": [skip_norm],
        # What is between two attentions can then stay in the order that its plugin wants.
        "qkv": [attention, products, tanh],
        "emb": [embedding],
        "fc": [products],
        "tanh": [tanh],
    }
    return list(dict.fromkeys(module for name in names for module in by_name[name]))
