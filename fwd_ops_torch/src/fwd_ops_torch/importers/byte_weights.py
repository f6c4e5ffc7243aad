"""Which computations on constants stay in the graph: those that hold weights in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwd_core.ir import DType
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.tensors import dtype_of

_FAKE = "aten::fake_quantize_per_"
_DECOMPOSED = ("quantize_per_", "dequantize_per_")
_BYTES = (DType.INT8, DType.UINT8)


def is_kept(schema: Schema, arguments: Mapping[str, Any]) -> bool:
    """Whether a call on constants quantizes to 8 bits, or dequantizes.

    Torch could compute it, but what it gives is floats, and integer kernels read integers. What
    is not of 8 bits, as the bias of a layer, is computed.
    """
    namespace, name = schema.name.split("::")
    if namespace == "quantized_decomposed" and name.startswith(_DECOMPOSED):
        dtype = arguments["dtype"]
        return (dtype if isinstance(dtype, DType) else dtype_of(dtype)) in _BYTES
    if not schema.name.startswith(_FAKE):
        return False
    low, high = arguments["quant_min"], arguments["quant_max"]
    zero = arguments["zero_point"]
    whole = not isinstance(zero, TensorRef) or zero.type.dtype.is_integer
    return whole and any(
        least <= low < high <= greatest for least, greatest in (one.limits for one in _BYTES)
    )
