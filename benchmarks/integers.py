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
        kind, _, layers = described(node)
        count = _count(kind, layers.lower())
        products += count
        integers += count if count and multiplies_integers(node) else 0
    return integers, products


def described(node: Any) -> tuple[str, str, str]:
    """What kind of kernel a node of a runtime model is, its type, and the layers in it."""
    info = node.get_rt_info()
    kind, dtype, layers = (info[key].astype(str) for key in _KEYS)
    return kind, dtype, layers


def multiplies_integers(node: Any) -> bool:
    """Whether the products of a kernel are of integers.

    The type of a generated kernel is that of what it reads first, which may be a mask. It may make
    the integers that it multiplies.
    """
    kind, dtype, layers = described(node)
    if kind != "Subgraph":
        return dtype in _BYTES
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
