"""DLPack capsules without a library: memory that is lent, and memory that is taken.

The layout is that of ``DLManagedTensor`` in ``dlpack.h`` 0.8 (https://dmlc.github.io/dlpack).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwd_core.ir.dtypes import DType

#: ``DLDeviceType``: memory of the host, of a CUDA device, pinned on the host, shared by both.
CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
#: ``DLDataTypeCode`` and bits of our types.
_CODES = {
    DType.FLOAT64: (2, 64),
    DType.FLOAT32: (2, 32),
    DType.FLOAT16: (2, 16),
    DType.BFLOAT16: (4, 16),
    DType.INT64: (0, 64),
    DType.INT32: (0, 32),
    DType.INT16: (0, 16),
    DType.INT8: (0, 8),
    DType.UINT8: (1, 8),
    DType.BOOL: (6, 8),
}
_WORDS = {bits: np.dtype(f"u{bits // 8}").str for _, bits in _CODES.values()}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}
_NAME, _USED = b"dltensor", b"used_dltensor"


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = (
    ("tensor", _Tensor),
    ("manager", ctypes.c_void_p),
    ("deleter", _Deleter),
)

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.argtypes = (ctypes.py_object, ctypes.c_char_p)
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = (ctypes.py_object, ctypes.c_char_p)


class _Shown:
    """Memory as NumPy takes it, without reading it; NumPy keeps this as long as the memory."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner: Any, address: int, shape: tuple[int, ...], typestr: str) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": typestr,
            "data": (address, False),
        }


def lend(
    owner: Any, address: int, shape: Sequence[int], dtype: DType, device: tuple[int, int]
) -> Any:
    """A capsule over C-contiguous memory.

    Args:
        owner: Kept alive until whoever takes the capsule is done with the memory.
        address: Where the memory begins.
        shape: Sizes in elements.
        dtype: Element type.
        device: ``DLDeviceType`` and number of the device.
    """
    code, bits = _CODES[dtype]
    # NumPy makes the capsule, because what frees it is called in states in which no Python may
    # run: with an exception under way, or when Python has ended.
    shown = _Shown(owner, address, tuple(shape), _WORDS[bits])
    capsule = np.asarray(shown).__dlpack__()
    tensor = _Managed.from_address(_pointer(capsule, _NAME)).tensor
    tensor.device = _Device(*device)
    tensor.dtype = _Type(code, bits, 1)
    return capsule


class Held:
    """Memory taken from a capsule; given back with the last reference."""

    __slots__ = ("_managed",)

    def __init__(self, managed: Any) -> None:
        self._managed = managed

    def __del__(self) -> None:
        if self._managed.deleter:
            self._managed.deleter(ctypes.byref(self._managed))


@dataclass(frozen=True)
class Borrowed:
    """What a capsule holds.

    Attributes:
        address: Where the first element is.
        shape: Sizes in elements.
        strides: Elements from one to the next along each axis; ``None`` for C-contiguous.
        dtype: Element type; ``None`` for one that Forward does not have.
        device: ``DLDeviceType`` and number of the device.
        held: Keeps the memory alive.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: DType | None
    device: tuple[int, int]
    held: Held


def take(capsule: Any) -> Borrowed:
    """Take what a capsule holds; it can be taken once.

    Raises:
        ValueError: It is no DLPack capsule, or was taken before.
    """
    if not _is_valid(capsule, _NAME):
        raise ValueError("this is no DLPack capsule, or it was taken before")
    managed = _Managed.from_address(_pointer(capsule, _NAME))
    _rename(capsule, _USED)
    tensor = managed.tensor
    count = range(tensor.ndim)
    strides = tuple(tensor.strides[axis] for axis in count) if tensor.strides else None
    kind = tensor.dtype
    return Borrowed(
        address=(tensor.data or 0) + tensor.byte_offset,
        shape=tuple(tensor.shape[axis] for axis in count),
        strides=strides,
        dtype=_DTYPES.get((kind.code, kind.bits)) if kind.lanes == 1 else None,
        device=(tensor.device.type, tensor.device.id),
        held=Held(managed),
    )


def is_contiguous(shape: Sequence[int], strides: Sequence[int] | None) -> bool:
    """Whether elements lie one after the other in C order; strides count elements."""
    if strides is None or 0 in shape:
        return True
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
