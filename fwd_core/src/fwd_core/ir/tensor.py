"""Tensors whose contents are known: constants of a graph."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir.dtypes import DType
from fwd_core.ir.types import TensorType


class Tensor:
    """An array on the host, with an element type that NumPy may not know.

    Args:
        data: The elements; for ``bfloat16`` their 16-bit words as ``uint16``. Not copied unless
            it must be made contiguous, so the caller must not write to it afterwards.
        dtype: The element type; by default that of ``data``.

    Raises:
        ValueError: ``data`` cannot hold elements of ``dtype``.
    """

    def __init__(self, data: NDArray[np.generic], dtype: DType | None = None) -> None:
        self.dtype = dtype if dtype is not None else DType.of(data.dtype)
        if data.dtype != self.dtype.storage:
            raise ValueError(f"{self.dtype} is held as {self.dtype.storage}, not {data.dtype}")
        data = np.asarray(data)  # a NumPy scalar has a dtype too, but is no array
        if not data.flags.c_contiguous:
            data = data.copy(order="C")  # ascontiguousarray would turn 0-d into 1-d
        self.data: NDArray[np.generic] = data

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.data.shape

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.data.nbytes

    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        return TensorType(self.dtype, self.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of type and contents, in hexadecimal."""
        state = hashlib.sha256(str(self.type).encode())
        state.update(self.data.reshape(-1).view(np.uint8).data if self.data.size else b"")
        return state.hexdigest()

    def numpy(self) -> NDArray[np.generic]:
        """The elements as NumPy can compute with them: bfloat16 is widened to float32."""
        if self.dtype is DType.BFLOAT16:
            # asarray: an operation on a 0-d array gives a scalar, of int64 before NumPy 2 unless
            # it is told otherwise
            words = np.left_shift(self.data, 16, dtype=np.uint32)
            return np.asarray(words).view(np.float32)
        return self.data

    def astype(self, dtype: DType) -> Tensor:
        """The elements converted; bfloat16 rounds to nearest even as hardware does."""
        if dtype is self.dtype:
            return self
        values = self.numpy()
        if dtype is not DType.BFLOAT16:
            with np.errstate(over="ignore", invalid="ignore"):
                return Tensor(values.astype(dtype.storage), dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # words of NaN may wrap, unused
            single = values.astype(np.float32)
            words = single.view(np.uint32)
            rounded = (words + 0x7FFF + ((words >> 16) & 1)) >> 16
        return Tensor(np.where(np.isnan(single), 0x7FC0, rounded).astype(np.uint16), dtype)

    def item(self) -> int | float | bool:
        """The only element as a Python number.

        Raises:
            ValueError: There is not exactly one element.
        """
        value: int | float | bool = self.numpy().item()
        return value

    def __repr__(self) -> str:
        if self.data.size <= 8:
            return f"{self.type} {self.numpy().tolist()}"
        return f"{self.type} #{self.digest[:12]}"
