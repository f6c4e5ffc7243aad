"""Capsules of Forward with torch on the other side."""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import late_borrowers
from host_memory import Lender

from fwd_core.engine import dlpack
from fwd_core.engine.device_arrays import on_device
from fwd_core.ir import DType


def _torch(dtype: DType) -> Any:
    return getattr(torch, str(dtype))


@pytest.mark.parametrize("dtype", DType, ids=str)
@pytest.mark.parametrize("shape", [(), (2, 3), (2, 0)], ids=str)
def test_torch_takes_what_is_lent(dtype: DType, shape: tuple[int, ...]) -> None:
    wanted = torch.arange(int(np.prod(shape, dtype=int))).reshape(shape).to(_torch(dtype))
    words = wanted.view(torch.uint16) if dtype is DType.BFLOAT16 else wanted
    found = torch.from_dlpack(Lender(words.numpy(), dtype))
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert torch.equal(found, wanted)
    if wanted.numel():
        assert found.data_ptr() == words.data_ptr()


@pytest.mark.parametrize("dtype", DType, ids=str)
def test_what_torch_lends_is_taken(dtype: DType) -> None:
    tensor = torch.zeros((2, 3), dtype=_torch(dtype))
    found = dlpack.take(tensor.__dlpack__())
    assert (found.address, found.shape, found.dtype) == (tensor.data_ptr(), (2, 3), dtype)
    assert dlpack.is_contiguous(found.shape, found.strides)
    turned = dlpack.take(tensor.t().__dlpack__())
    assert turned.strides == (1, 3)
    assert not dlpack.is_contiguous(turned.shape, turned.strides)


def test_the_owner_lives_as_long_as_the_tensor() -> None:
    array = np.arange(3.0)
    lender = Lender(array)
    alive = weakref.ref(array)
    tensor = torch.from_dlpack(lender)
    view = tensor[1:]
    del array, lender, tensor
    gc.collect()
    assert alive() is not None
    assert view.tolist() == [1, 2]
    del view
    gc.collect()
    assert alive() is None


def test_torch_gets_back_what_was_taken() -> None:
    found = dlpack.take(torch.full((1000,), 3.0).__dlpack__())
    gc.collect()
    there = (ctypes.c_float * 1000).from_address(found.address)
    assert set(there) == {3.0}


def test_tensors_without_a_device_are_not_on_a_gpu() -> None:
    assert not on_device(torch.empty(2, device="meta"))
    assert not on_device(torch.zeros(2))
    assert not on_device(torch.eye(2).to_sparse())


#: A tensor in a place that Python clears after the module of the capsules.
_AT_THE_END = """
import torch
here, sys.late = torch.from_dlpack(Lender()), torch.from_dlpack(Lender())
print(float(here.sum() + sys.late.sum()))
"""


def test_a_tensor_may_outlive_python() -> None:
    assert late_borrowers.run(_AT_THE_END) == (0, "12.0\n", "")
