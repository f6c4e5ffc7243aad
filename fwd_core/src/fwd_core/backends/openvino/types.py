"""Element types on their way through OpenVINO, and arrays that it can share.

An engine's inputs and outputs have the source model's types. Between them there are three:
floats are float32 (in half modes OpenVINO itself computes them in less), integers are int32, and
bool stays. OpenVINO's CPU device computes int64 in 32 bits whatever a model says, but folds its
constants in 64, and then saturates them; so int64 values from outside are range-checked and the
model says int32. Smaller integers wrap where they must.
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
    return dtype if dtype is DType.BOOL else DType.INT32


def at_edge(dtype: DType) -> DType:
    """The type of the model's inputs and outputs of a type.

    OpenVINO's conversions from and to float64 make finite numbers of infinities, so the host
    converts.
    """
    return DType.FLOAT32 if dtype is DType.FLOAT64 else dtype


def in_float32(array: NDArray[Any]) -> NDArray[Any]:
    """A float64 array in float32; finite numbers beyond its range become its greatest."""
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    lost = np.isinf(narrow) & np.isfinite(array)
    if lost.any():
        narrow = np.where(lost, np.copysign(DType.FLOAT32.limits[1], narrow), narrow)
        return narrow.astype(np.float32)
    return narrow


def element_type(dtype: DType) -> Type:
    """OpenVINO's type of elements."""
    import openvino

    return getattr(openvino.Type, _NAMES[dtype])


def writable(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or a view of a read-only one that calls its memory writable.

    OpenVINO shares no read-only arrays, though it only reads constants and inputs.
    """
    return array if array.flags.writeable else np.asarray(_Writable(array))


def shared(array: NDArray[Any], dtype: DType) -> OpenVINOTensor:
    """An OpenVINO tensor over the memory of a C-contiguous array.

    The array lives as long as this Python object, but not as long as a request or a model that
    the tensor is handed to: whoever does that keeps the array alive.

    Args:
        array: Elements; bfloat16 as uint16 words.
        dtype: What the elements are.
    """
    import openvino

    if dtype is DType.BFLOAT16:
        if not array.size:  # older versions read the first element
            return openvino.Tensor(openvino.Type.bf16, list(array.shape))
        words = writable(array).reshape(-1)
        return openvino.Tensor(words, list(array.shape), openvino.Type.bf16)
    return openvino.Tensor(writable(array), True)


class _Writable:
    """Describes an array's memory to NumPy as writable; the array made of it keeps it alive."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        address, _read_only = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
