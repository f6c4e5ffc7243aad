"""How many products an engine computes with integers, as OpenVINO's runtime model tells."""

from __future__ import annotations

from typing import Any

_PRODUCTS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
#: Names of operators by which a generated kernel shows that it multiplies.
_INSIDE = ("matmul", "scaled_dot_product_attention")
_BYTES = ("i8", "u8")
_KEYS = ("layerType", "runtimePrecision", "originalLayersNames")


def counted(model: Any) -> tuple[int, int]:
    """Products of integers, and all products, among the kernels of a compiled model.

    A kernel that OpenVINO generates for attention holds two: scores, and what they weigh.
    """
    integers = products = 0
    for node in model.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind, dtype, layers = (info[key].astype(str) for key in _KEYS)
        if (count := _count(kind, layers.lower())) == 0:
            continue
        products += count
        # A generated kernel may make the integers that it multiplies.
        made = kind == "Subgraph" and "DequantizationMultiply" in layers
        integers += count if dtype in _BYTES or made else 0
    return integers, products


def _count(kind: str, layers: str) -> int:
    """How many products a kernel computes, of what it is made of."""
    if kind in _PRODUCTS:
        return 1
    if kind == "ScaledDotProductAttention":
        return 2
    if kind != "Subgraph" or not any(name in layers for name in _INSIDE):
        return 0
    return 2 if "softmax" in layers else 1


def told(engine: Any) -> str:
    """What an engine computes in: with OpenVINO the products of integers too.

    Args:
        engine: A :class:`fwd_core.Engine`.
    """
    compute = str(engine.manifest["compute"])
    compiled = getattr(engine.plan, "compiled", None)
    if not compute.startswith("int8, ") or compiled is None:
        return compute
    integers, products = counted(compiled)
    return f"int8 {integers} of {products} products, {compute.removeprefix('int8, ')}"
