"""How many products an engine computes with integers, as OpenVINO's runtime model tells."""

from __future__ import annotations

from typing import Any

_PRODUCTS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
#: What the products of attention are named by; what works on its mask has names that go on.
_ATTENTION = "scaled_dot_product_attention"
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
        whole = _reads_integers(node, layers) if kind == "Subgraph" else dtype in _BYTES
        integers += count if whole else 0
    return integers, products


def _reads_integers(node: Any, layers: str) -> bool:
    """Whether a generated kernel multiplies integers; it may make them itself.

    One input of bytes may be a mask, and OpenVINO tells that as the kernel's type if it comes
    first.
    """
    read = [one.get_element_type().get_type_name() for one in node.inputs()]
    return "DequantizationMultiply" in layers or sum(one in _BYTES for one in read) > 1


def _count(kind: str, layers: str) -> int:
    """How many products a kernel computes, of what it is made of."""
    if kind in _PRODUCTS:
        return 1
    if kind == "ScaledDotProductAttention":
        return 2
    attention = any(one.endswith(_ATTENTION) for one in layers.split(","))
    if kind != "Subgraph" or not (attention or "matmul" in layers):
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
