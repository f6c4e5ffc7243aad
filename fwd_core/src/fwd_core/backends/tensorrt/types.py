"""Which of TensorRT's element types stands for which of ours.

Inside a network 8- and 16-bit integers are computed as int32 and wrapped where they would
overflow, and types that a flavour lacks widen or narrow to the next: float64 and, on TensorRT 8,
bfloat16 to float32, int64 to int32. At its inputs and outputs a network has the source model's
own type where the flavour can bind it; otherwise the runtime converts on the host.
"""

from __future__ import annotations

from fwd_core.backends.tensorrt.features import Features
from fwd_core.ir.dtypes import DType

_COMPUTE = {
    DType.FLOAT64: "FLOAT",
    DType.FLOAT32: "FLOAT",
    DType.FLOAT16: "HALF",
    DType.BFLOAT16: "BF16",
    DType.INT64: "INT64",
    DType.INT32: "INT32",
    DType.INT16: "INT32",
    DType.INT8: "INT32",
    DType.UINT8: "INT32",
    DType.BOOL: "BOOL",
}
_WITHOUT = {"BF16": "FLOAT", "INT64": "INT32"}
#: The element type whose bits a TensorRT type has.
HELD = {
    "FLOAT": DType.FLOAT32,
    "HALF": DType.FLOAT16,
    "BF16": DType.BFLOAT16,
    "INT64": DType.INT64,
    "INT32": DType.INT32,
    "INT8": DType.INT8,
    "UINT8": DType.UINT8,
    "BOOL": DType.BOOL,
}
#: Integers that are computed as wider ones.
NARROW = frozenset({DType.INT16, DType.INT8, DType.UINT8})


def compute_type(dtype: DType, features: Features) -> str:
    """Name of the ``DataType`` that values of a type have inside a network."""
    name = _COMPUTE[dtype]
    return name if name in features.optional_types else _WITHOUT.get(name, name)


def binding_type(dtype: DType, features: Features) -> str:
    """Name of the ``DataType`` that an input or output of a type has.

    TensorRT 8 takes 8-bit tensors only with ranges or scales, so there they are bound as int32.
    """
    if dtype in (DType.INT8, DType.UINT8) and features.byte_bindings:
        return dtype.name
    return compute_type(dtype, features)
