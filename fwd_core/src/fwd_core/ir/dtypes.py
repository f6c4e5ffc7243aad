"""Element types of tensors, by the names that NumPy and PyTorch share."""

from __future__ import annotations

import enum

import numpy as np


class DType(enum.Enum):
    """An element type. ``str(dtype)`` is its name: ``float32``, ``bfloat16``, ``bool``.

    NumPy has no bfloat16: such arrays are held as ``uint16`` words (see ``storage``), and the
    dtype beside them says what the words mean.
    """

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    UINT8 = "uint8"
    BOOL = "bool"

    def __str__(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return self.value

    @classmethod
    def of(cls, name: DType | str | np.dtype[np.generic] | type[np.generic]) -> DType:
        """The dtype of that name or NumPy dtype.

        Raises:
            ValueError: Forward has no such element type.
        """
        if isinstance(name, DType):
            return name
        text = name if isinstance(name, str) else np.dtype(name).name
        try:
            return cls(text)
        except ValueError:
            known = ", ".join(str(member) for member in cls)
            raise ValueError(f"no element type {text!r} in Forward (there are {known})") from None

    @property
    def is_float(self) -> bool:
        """Whether values are floating point."""
        return self in _FLOATS

    @property
    def is_integer(self) -> bool:
        """Whether values are integers; bool is not."""
        return self in _INTEGERS

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.storage.itemsize

    @property
    def storage(self) -> np.dtype[np.generic]:
        """The NumPy dtype whose elements hold this type's bits."""
        return _STORAGE[self]

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest finite value."""
        if self is DType.BOOL:
            return (0, 1)
        if self is DType.BFLOAT16:
            return (-3.3895313892515355e38, 3.3895313892515355e38)
        info: np.finfo[np.floating] | np.iinfo[np.integer]
        if self.is_float:
            info = np.finfo(self.value)
            return (float(info.min), float(info.max))
        info = np.iinfo(self.value)
        return (int(info.min), int(info.max))


_FLOATS = frozenset({DType.FLOAT64, DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16})
_INTEGERS = frozenset({DType.INT64, DType.INT32, DType.INT16, DType.INT8, DType.UINT8})
_STORAGE: dict[DType, np.dtype[np.generic]] = {
    dtype: np.dtype("uint16" if dtype is DType.BFLOAT16 else dtype.value) for dtype in DType
}
