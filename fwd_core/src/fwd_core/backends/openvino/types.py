"""Element types on their way through OpenVINO, and arrays that it can share.

An engine's inputs and outputs have the source model's types. Between them there are five:
floats are float32 (in half modes OpenVINO itself computes them in less), small integers are
int32 and wrap where they must, int64, int32 and bool stay. OpenVINO's CPU device computes int64
in 32 bits, which is why int64 values from outside are range-checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir.dtypes import DType

if TYPE_CHECKING:
    from openvino import Tensor as OpenVINOTensor
    from openvino import Type

INT32_LIMITS = (-(2**31), 2**31 - 1)
_NAMES = {
    DType.FLOAT64: "f64",
    DType.FLOAT32: "f32",
    DType.FLOAT16: "f16",
    DType.BFLOAT16: "bf16",
    DType.INT64: "i64",
    DType.INT32: "i32",
    DType.INT16: "i16",
    DType.INT8: "i8",
    DType.UINT8: "u8",
    DType.BOOL: "boolean",
}


def computed(dtype: DType) -> DType:
    """The type that stands for ``dtype`` between the inputs and the outputs."""
    if dtype.is_float:
        return DType.FLOAT32
    if dtype in (DType.INT16, DType.INT8, DType.UINT8):
        return DType.INT32
    return dtype


def element_type(dtype: DType) -> Type:
    """OpenVINO's type of elements."""
    import openvino

    return getattr(openvino.Type, _NAMES[dtype])


def shared(array: NDArray[Any], dtype: DType) -> OpenVINOTensor:
    """An OpenVINO tensor over the memory of a C-contiguous array, which it keeps alive.

    OpenVINO takes no read-only arrays, though it only reads inputs and constants, so it is shown
    their memory as if it could be written.

    Args:
        array: Elements; bfloat16 as uint16 words.
        dtype: What the elements are.
    """
    import openvino

    if not array.flags.writeable:
        array = np.asarray(_Writable(array))
    if dtype is DType.BFLOAT16:
        return openvino.Tensor(array, list(array.shape), openvino.Type.bf16)
    return openvino.Tensor(array, True)


class _Writable:
    """Describes an array's memory to NumPy as writable; the array made of it keeps it alive."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        address, _read_only = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
