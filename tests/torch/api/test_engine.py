"""TorchEngine: tensors in and out, nesting, threads, files, and inputs that do not fit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import scripted

import forward
from fwd_core.errors import EngineFileError, InputError

X = torch.randn(2, 3)


class Nested(nn.Module):
    def forward(self, x: Tensor, ids: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {"pair": (x + 1, ids * 2)}


@pytest.fixture(scope="module")
def engine() -> forward.TorchEngine:
    return forward.build(scripted(Nested()), (X, torch.arange(3)))


@pytest.fixture(scope="module")
def single() -> forward.TorchEngine:
    return forward.build(scripted(nn.ReLU()), X)


def test_one_tensor_or_a_list_comes_back(
    engine: forward.TorchEngine, single: forward.TorchEngine
) -> None:
    assert torch.equal(single.forward(X), X.relu())
    outputs = engine.forward([X, torch.arange(3)])
    assert isinstance(outputs, list)
    assert torch.equal(outputs[0], X + 1)
    assert torch.equal(outputs[1], torch.arange(3) * 2)
    assert torch.equal(engine.forward_with_name({"ids": torch.arange(3), "x": X})[0], X + 1)


def test_calls_nest_as_the_model_does_in_torch_or_numpy(engine: forward.TorchEngine) -> None:
    result = engine(X, torch.arange(3))
    assert torch.equal(result["pair"][0], X + 1)
    assert result["pair"][1].dtype is torch.int64
    arrays = engine(x=X.numpy(), ids=np.arange(3))
    assert isinstance(arrays["pair"][0], np.ndarray)
    mixed = engine(X, ids=np.arange(3))
    assert isinstance(mixed["pair"][0], torch.Tensor)


def test_gradients_strides_and_half_tensors(single: forward.TorchEngine) -> None:
    needs_grad = X.clone().requires_grad_()
    assert torch.equal(single.forward(needs_grad), X.relu())
    turned = torch.randn(3, 2).t()
    assert torch.equal(single.forward(turned), turned.relu())
    for dtype in (torch.float16, torch.bfloat16):
        half = forward.build(scripted(nn.ReLU()), X.to(dtype))
        assert half.forward(X.to(dtype)).dtype is dtype
        torch.testing.assert_close(half.forward(X.to(dtype)), X.to(dtype).relu())
        torch.testing.assert_close(half.forward(X), X.to(dtype).relu())  # float32 is taken too


def test_inputs_that_do_not_fit(engine: forward.TorchEngine, single: forward.TorchEngine) -> None:
    with pytest.raises(InputError, match="input 'input' has the wrong rank") as caught:
        single.forward(torch.randn(3))
    assert "expected: float32[2, 3]" in str(caught.value)
    assert "got:      rank 1, shape [3]" in str(caught.value)
    with pytest.raises(InputError, match="input 'input': size of axis 1"):
        single.forward(torch.randn(2, 4))
    with pytest.raises(InputError, match="input 'input' has the wrong dtype"):
        single.forward(X.double())
    with pytest.raises(InputError, match="missing ids; unknown y"):
        engine.forward_with_name({"x": X, "y": X})
    with pytest.raises(InputError, match="not nested as the model takes them|missing ids"):
        engine.forward([X])
    with pytest.raises(InputError, match="is no array"):
        single.forward("text")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="by position and by name: x"):
        engine(X, x=X)


def test_small_integers_are_taken_for_int64(engine: forward.TorchEngine) -> None:
    result = engine(X, torch.arange(3, dtype=torch.int32))
    assert result["pair"][1].tolist() == [0, 2, 4]


def test_save_and_load(engine: forward.TorchEngine, tmp_path: Path) -> None:
    path = tmp_path / "nested.engine"
    assert engine.save(str(path)) is True
    empty = forward.TorchEngine()
    assert empty.load(str(path)) is True
    for loaded in (empty, forward.load(path)):
        result = loaded(X, torch.arange(3))
        assert torch.equal(result["pair"][0], X + 1)


def test_an_empty_engine_says_so(tmp_path: Path) -> None:
    empty = forward.TorchEngine()
    assert repr(empty) == "<TorchEngine, empty>"
    for use in (lambda: empty.forward(X), lambda: empty.save("x"), lambda: empty(X)):
        with pytest.raises(EngineFileError, match="this TorchEngine is empty"):
            use()
    with pytest.raises(EngineFileError, match="there is no file"):
        empty.load(tmp_path / "nothing.engine")


def test_many_threads_give_what_one_gives() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)).eval()
    engine = forward.build(net, torch.randn(16, 64), dynamic_batch=True, hint="throughput")
    inputs = [torch.randn(1 + i % 16, 64) for i in range(200)]
    serial = [engine.forward(x) for x in inputs]
    failures: list[Any] = []

    def work() -> None:
        for x, want in zip(inputs, serial, strict=True):
            have = engine.forward(x)
            if not torch.equal(have, want):
                failures.append((x.shape, have, want))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert engine.engine.contexts.peak >= 2
