from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import pytest

from fwd_core.backends.tensorrt.runtime import blocks, cuda, device


def test_a_failed_call_is_raised_with_cudas_name() -> None:
    pytest.importorskip("cuda.bindings")
    if device.find()[0] is not None:
        pytest.skip("there is a GPU")
    with pytest.raises(cuda.CudaError, match=r"cudaMalloc failed: cudaError\w+\n  ") as raised:
        cuda.call("cudaMalloc", 16)
    assert raised.value.name.startswith("cudaError")


def test_calls_return_none_one_value_or_several() -> None:
    pytest.importorskip("cuda.bindings")
    assert cuda.call("cudaRuntimeGetVersion") > 12_000


def test_missing_bindings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    cuda.runtime.cache_clear()
    with pytest.raises(cuda.CudaError, match="import cuda.bindings failed: not installed"):
        cuda.call("cudaGetDevice")
    found, reason = device.find()
    assert found is None
    assert "cuda-bindings cannot be imported" in reason
    monkeypatch.undo()
    cuda.runtime.cache_clear()
    importlib.import_module("fwd_core.backends.tensorrt.runtime.context")


def test_a_gpu_is_told_in_words() -> None:
    assert str(device.Gpu(0, "NVIDIA L4", "sm_89")) == "NVIDIA L4 (sm_89)"


@pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")
@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda: cuda.take("cudaMalloc", 256), "cudaMalloc"),
        (lambda: cuda.take("cudaMallocHost", 256), "cudaMallocHost"),
        (lambda: cuda.give("cudaFree", [256]), "cudaDeviceSynchronize"),
        (lambda: cuda.to_device(256, 512, 8, 0), "cudaMemcpyAsync"),
        (lambda: cuda.to_host(256, 512, 8, 0), "cudaMemcpyAsync"),
        (lambda: cuda.within(256, 512, 8, 0), "cudaMemcpyAsync"),
        (lambda: cuda.is_over(0), "cudaEventQuery"),
        (lambda: cuda.switch(0), "cudaGetDevice"),
        (lambda: cuda.device_of(256), "cudaPointerGetAttributes"),
        (lambda: cuda.follow(1, 2), "cudaEventCreateWithFlags"),
        (lambda: blocks.on_device().lend(8, 0), "cudaMalloc"),
        (lambda: blocks.pinned().lend(8, 0), "cudaMallocHost"),
    ],
    ids=[
        "malloc",
        "pinned",
        "free",
        "there",
        "back",
        "within",
        "event",
        "switch",
        "where",
        "follow",
        "block",
        "page",
    ],
)
def test_failures_are_told_by_the_call_that_failed(use: Callable[[], object], told: str) -> None:
    pytest.importorskip("cuda.bindings")
    with pytest.raises(cuda.CudaError, match=rf"^{told} failed: cudaError\w+\n  \w+"):
        use()
    assert cuda.capturing.acquire(blocking=False), "nothing stays locked"
    cuda.capturing.release()
