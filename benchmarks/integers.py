"""How many products an engine computes with integers, as OpenVINO's runtime model tells."""

from __future__ import annotations

from typing import Any

_PRODUCTS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
_BYTES = ("i8", "u8")
_KEYS = ("layerType", "runtimePrecision", "originalLayersNames")


def counted(model: Any) -> tuple[int, int]:
    """Products of integers, and all products, among the kernels of a compiled model.

    Attention in one kernel counts once; it is of floats unless its integers come in from outside.
    """
    integers = products = 0
    for node in model.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind, dtype, layers = (
            info[key].astype(str)
            for key in ("layerType", "runtimePrecision", "originalLayersNames")
        )
        # A generated kernel may hold products, and make the integers that it multiplies.
        generated = kind == "Subgraph" and "matmul" in layers.lower()
        if kind not in _PRODUCTS and not generated and kind != "ScaledDotProductAttention":
            continue
        products += 1
        made = generated and "DequantizationMultiply" in layers
        integers += dtype in _BYTES or made
    return integers, products


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
