"""Between torch's tensors and dtypes and Forward's own."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fwd_core.errors import ConversionError
from fwd_core.ir import DType
from fwd_ops_torch.importers import jit
from fwd_ops_torch.tensors import (
    SCALAR_TYPES,
    dtype_of,
    from_host,
    scalar_type,
    to_host,
    torch_dtype,
    type_of,
)


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_dtypes_and_contents_round_trip(dtype: DType) -> None:
    assert dtype_of(torch_dtype(dtype)) is dtype
    tensor = torch.tensor([[0, 1], [1, 0]]).to(torch_dtype(dtype))
    held = to_host(tensor)
    assert held.type == type_of(tensor)
    assert torch.equal(from_host(held), tensor)


def test_numbers_of_dtypes_are_torchscripts() -> None:
    class Ask(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> int:
            return x.dtype

    ask = jit.script(Ask())
    for number, dtype in SCALAR_TYPES.items():
        assert scalar_type(dtype) == number
        if dtype not in (torch.complex32, torch.qint8, torch.quint8, torch.qint32):
            assert ask(torch.zeros(1, dtype=dtype)) == number  # the others cannot be made plainly


def test_dtypes_that_are_not_supported() -> None:
    for dtype in (torch.complex64, torch.float8_e4m3fn, 9):
        with pytest.raises(ConversionError, match="is not supported") as caught:
            dtype_of(dtype)
        assert "float32" in str(caught.value)


def test_sparse_tensors_are_refused() -> None:
    with pytest.raises(ConversionError, match="layout torch.sparse_coo cannot be a constant"):
        to_host(torch.eye(3).to_sparse())


def test_memory_is_shared_or_copied_as_asked() -> None:
    tensor = torch.arange(4.0)
    assert to_host(tensor).data.ctypes.data == tensor.data_ptr()
    assert to_host(tensor, copy=True).data.ctypes.data != tensor.data_ptr()
    turned = torch.arange(6.0).reshape(2, 3).t()
    assert np.array_equal(to_host(turned).data, turned.numpy())
