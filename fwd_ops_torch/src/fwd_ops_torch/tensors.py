"""Between torch's tensors and dtypes and Forward's own."""

from __future__ import annotations

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Tensor, TensorType

_DTYPES: dict[torch.dtype, DType] = {getattr(torch, str(dtype)): dtype for dtype in DType}
_TORCH = {dtype: torch_dtype for torch_dtype, dtype in _DTYPES.items()}

#: TorchScript passes dtypes as integers: ``c10/core/ScalarType.h`` gives the order.
SCALAR_TYPES: dict[int, torch.dtype] = {
    0: torch.uint8,
    1: torch.int8,
    2: torch.int16,
    3: torch.int32,
    4: torch.int64,
    5: torch.float16,
    6: torch.float32,
    7: torch.float64,
    8: torch.complex32,
    9: torch.complex64,
    10: torch.complex128,
    11: torch.bool,
    12: torch.qint8,
    13: torch.quint8,
    14: torch.qint32,
    15: torch.bfloat16,
}
_SCALAR_TYPE_OF = {dtype: number for number, dtype in SCALAR_TYPES.items()}


def dtype_of(dtype: torch.dtype | int) -> DType:
    """Forward's dtype for torch's, given as itself or as TorchScript's integer.

    Raises:
        ConversionError: Forward has no such element type (complex, quantized, float8).
    """
    known = SCALAR_TYPES.get(dtype) if isinstance(dtype, int) else dtype
    if known is None or known not in _DTYPES:
        raise ConversionError(
            f"element type {known if known is not None else dtype} is not supported",
            expected=", ".join(str(one) for one in DType),
            hint="convert the model to one of these first",
        )
    return _DTYPES[known]


def torch_dtype(dtype: DType) -> torch.dtype:
    """Torch's dtype for Forward's."""
    return _TORCH[dtype]


def scalar_type(dtype: torch.dtype) -> int:
    """TorchScript's integer for a dtype."""
    return _SCALAR_TYPE_OF[dtype]


def type_of(tensor: torch.Tensor) -> TensorType:
    """Element type and shape of a tensor."""
    return TensorType(dtype_of(tensor.dtype), tuple(tensor.shape))


def to_host(tensor: torch.Tensor, *, copy: bool = False) -> Tensor:
    """A tensor's contents for a graph.

    Args:
        tensor: On any device.
        copy: Do not share memory with the tensor, whose owner may change it later.

    Raises:
        ConversionError: The dtype, or the layout (sparse), is not supported.
    """
    dtype = dtype_of(tensor.dtype)
    if tensor.layout is not torch.strided:
        raise ConversionError(
            f"a tensor with layout {tensor.layout} cannot be a constant", hint="use .to_dense()"
        )
    host = tensor.detach().cpu().resolve_neg().resolve_conj().contiguous()
    if copy and host.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr():
        host = host.clone()
    words = host.view(torch.uint16) if dtype is DType.BFLOAT16 else host
    return Tensor(words.numpy(), dtype)


def from_host(tensor: Tensor) -> torch.Tensor:
    """A torch tensor over a constant's memory (a copy where the memory is read-only)."""
    data = tensor.data if tensor.data.flags.writeable else tensor.data.copy()
    words = torch.from_numpy(data)
    return words.view(torch.bfloat16) if tensor.dtype is DType.BFLOAT16 else words
