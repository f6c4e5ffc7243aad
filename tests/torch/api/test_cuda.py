"""What `TorchEngine` says of tensors for an engine of a GPU, as far as it is known without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from host_device import host_device

from fwd_core.backends import Port
from fwd_core.engine import DeviceArray
from fwd_core.errors import InputError
from fwd_core.ir import DType, TensorType
from fwd_ops_torch.api import cuda

X = torch.arange(6.0).reshape(2, 3)


def _as_bound(tensor: Any, dtype: DType, bound: DType | None = None) -> Any:
    return cuda._as_bound(Port("x", TensorType(dtype, (2, 3))), bound or dtype, tensor)


def test_another_gpu_than_the_engines() -> None:
    with pytest.raises(
        InputError,
        match=r"^the inputs are on another GPU than the engine\n  expected: cuda:0\n"
        r"  got:      cuda:1\n  Hint: move them: tensor.to\('cuda:0'\)$",
    ):
        cuda.run(host_device(), [X], torch.device("cuda", 1))


@pytest.mark.parametrize("dtype", DType, ids=str)
def test_what_fits_is_not_copied(dtype: DType) -> None:
    tensor = X.to(getattr(torch, str(dtype)))
    assert _as_bound(tensor, dtype).data_ptr() == tensor.data_ptr()


@pytest.mark.parametrize(
    ("given", "own", "bound"),
    [
        ("int64", DType.INT64, DType.INT32),
        ("int32", DType.INT64, DType.INT64),
        ("uint8", DType.INT64, DType.INT32),
        ("int8", DType.INT16, DType.INT32),
        ("float32", DType.FLOAT16, DType.FLOAT16),
        ("float32", DType.BFLOAT16, DType.BFLOAT16),
        ("float64", DType.FLOAT64, DType.FLOAT32),
    ],
)
def test_types_are_converted(given: str, own: DType, bound: DType) -> None:
    found = _as_bound(X.to(getattr(torch, given)), own, bound)
    assert found.dtype is getattr(torch, str(bound))
    assert torch.equal(found.double(), X.double())


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ("float64", "float32"),
        ("float16", "float32"),
        ("float32", "int64"),
        ("int64", "int32"),
        ("bool", "int64"),
        ("complex64", "float32"),
    ],
)
def test_other_types_are_refused(given: str, own: str) -> None:
    with pytest.raises(
        InputError,
        match=rf"^input 'x' has the wrong dtype\n  expected: {own}\[2, 3\]\n"
        rf"  got:      {given}\[2, 3\]\n  Hint: convert it: tensor.to\(torch.{own}\)$",
    ):
        _as_bound(X.to(getattr(torch, given)), DType.of(own))


def test_views_become_dense() -> None:
    turned = torch.arange(6.0).reshape(3, 2).t()
    found = _as_bound(turned, DType.FLOAT32)
    assert found.is_contiguous()
    assert torch.equal(found, turned)
    negated = torch._neg_view(X)
    assert torch.equal(_as_bound(negated, DType.FLOAT32), -X)
    assert not _as_bound(negated, DType.FLOAT32).is_neg()
    assert not _as_bound(X.clone().requires_grad_(), DType.FLOAT32).requires_grad


def test_sparse_tensors_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"^input 'x': the engine cannot read this tensor\n"
        r"  expected: float32\[2, 3\], dense, with values in memory\n"
        r"  got:      torch.float32, torch.sparse_coo, on cpu\n  Hint: give tensor.to_dense\(\)$",
    ):
        _as_bound(X.to_sparse(), DType.FLOAT32)


def test_tensors_without_values_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"^input 'x0': this Tensor cannot be read on the host\n  expected: float",
    ):
        host_device().run({"x0": torch.empty(2, 3, device="meta")})


def test_results_get_the_outputs_own_type() -> None:
    from host_memory import HostMemory

    class OnHost(DeviceArray):
        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    memory = HostMemory(np.arange(6, dtype=np.int32))
    result = OnHost(memory, (2, 3), DType.INT32)
    port = Port("y", TensorType(DType.INT64, (2, 3)))
    tensor = cuda._as_port(port, DType.INT32, result)
    assert tensor.dtype is torch.int64
    assert torch.equal(tensor, torch.arange(6).reshape(2, 3))
