"""Between the arrays of callers and the types that an engine binds, on the host.

Engines of a flavour without a type bind the next wider or narrower one; see
:mod:`fwd_core.backends.tensorrt.types`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.base import Port
from fwd_core.errors import InputError
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor


def fill(target: NDArray[np.generic], array: NDArray[np.generic], port: Port, held: DType) -> None:
    """Write an input into the buffer that the engine's type is copied from.

    Args:
        target: The buffer, of the engine's type and the input's shape.
        array: What the caller gave, of the port's type.
        port: The input.
        held: The engine's type.

    Raises:
        InputError: An integer does not fit the engine's type.
    """
    if port.type.dtype is held:
        np.copyto(target, array)
        return
    if port.type.dtype.is_integer and held.is_integer and array.size:
        low, high = held.limits
        least, greatest = np.min(array), np.max(array)
        if least < low or greatest > high:
            raise InputError(
                f"input {port.name!r} has integers that do not fit {held}, in which this engine "
                "computes",
                expected=f"{low} … {high}",
                got=f"{least} … {greatest}",
            )
    np.copyto(target, Tensor(array, port.type.dtype).astype(held).data)


def result(array: NDArray[np.generic], port: Port, held: DType) -> NDArray[np.generic]:
    """A new array of an output's own type, from the buffer of the engine's type."""
    if port.type.dtype is held:
        return np.array(array)
    converted: NDArray[np.generic] = Tensor(array.copy(), held).astype(port.type.dtype).data
    return converted
