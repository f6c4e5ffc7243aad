"""TorchEngine: tensors in and out, nesting, threads, files, and inputs that do not fit."""

from __future__ import annotations

import threading
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import scripted

import forward
from fwd_core.errors import EngineFileError, InputError, OptionError

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
    with pytest.raises(InputError, match="input 'input': the size of axis 1"):
        single.forward(torch.randn(2, 4))
    with pytest.raises(InputError, match="input 'input' has the wrong dtype") as caught:
        single.forward(X.double())
    assert caught.value.hint == "convert it: tensor.to(torch.float32)"
    assert str(caught.value).endswith("Hint: convert it: tensor.to(torch.float32)")
    with pytest.raises(InputError, match="missing 'ids'; unknown 'y'"):
        engine.forward_with_name({"x": X, "y": X})
    with pytest.raises(InputError, match="wrong number of inputs\n  expected: 2: x: "):
        engine.forward([X])
    with pytest.raises(InputError, match="is no array"):
        single.forward("text")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="by position and by name: x"):
        engine(X, x=X)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (torch.Tensor.to_sparse, r"torch.sparse_coo, on cpu\n  .*\n  Hint: give tensor.to_d"),
        (torch.Tensor.to_sparse_csr, r"torch.sparse_csr, on cpu\n  .*\n  Hint: give tensor"),
        (lambda x: x.to("meta"), "torch.strided, on meta"),
        (lambda x: x.to(torch.float8_e5m2), "torch.float8_e5m2, torch.strided, on cpu"),
        (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), "torch.quint8"),
    ],
    ids=["sparse", "csr", "meta", "float8", "quantized"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantize.*:UserWarning")
def test_tensors_that_have_no_values_of_their_own(
    single: forward.TorchEngine, make: Any, text: str
) -> None:
    with pytest.raises(
        InputError,
        match=r"input 'input': the engine cannot read this tensor\n"
        rf"  expected: float32\[2, 3\], dense, with values in memory\n  got: .*{text}",
    ):
        single(make(X))


def test_views_that_are_marked_as_negated_or_conjugated(single: forward.TorchEngine) -> None:
    assert torch.equal(single(torch._neg_view(X)), (-X).relu())
    imaginary = torch.complex(X, X).conj().imag  # a view of the negated part
    assert imaginary.is_neg()
    assert torch.equal(single(imaginary), (-X).relu())
    half = forward.build(scripted(nn.ReLU()), X.bfloat16())
    assert torch.equal(half(torch._neg_view(X.bfloat16())), (-X.bfloat16()).relu())
    with pytest.raises(InputError, match="input 'input' has the wrong dtype"):
        single(torch.complex(X, X).conj())


def test_names_come_in_a_mapping(single: forward.TorchEngine) -> None:
    for inputs in (X, None, [X]):
        with pytest.raises(
            InputError,
            match=r"inputs by name come in a mapping\n  expected: input: float32\[2, 3\]\n"
            rf"  got:      {type(inputs).__name__}\n  Hint: forward\(inputs\) takes",
        ):
            single.forward_with_name(inputs)  # type: ignore[arg-type]


class Masked(nn.Module):
    def forward(self, x: Tensor, mask: typing.Optional[Tensor], y: Tensor, n: int = 1) -> Tensor:
        return x + y * n if mask is None else x + mask


@pytest.mark.parametrize("form", ["module", "scripted", "exported"])
@pytest.mark.parametrize("by_name", [False, True])
def test_arguments_that_were_fixed_are_left_out_or_given_as_they_were(
    form: str, by_name: bool, tmp_path: Path
) -> None:
    module, y = Masked().eval(), torch.randn(2, 3)
    names = {"x": X, "mask": None, "y": y, "n": 3}
    args, kwargs = ((), names) if by_name else (tuple(names.values()), {})
    model: Any = {
        "module": lambda: module,
        "scripted": lambda: scripted(module),
        "exported": lambda: torch.export.export(module, args, kwargs),
    }[form]()
    built = forward.build(model, names if by_name else tuple(names.values()))
    built.save(tmp_path / "optional.engine")
    for engine in (built, forward.load(tmp_path / "optional.engine")):
        for result in (
            engine(X, None, y, 3),
            engine(X, None, y),
            engine(X, y),
            engine(X, y, n=3),
            engine(**names),
            engine.forward([X, None, y, 3]),
            engine.forward_with_name(names),  # type: ignore[arg-type]
        ):
            torch.testing.assert_close(result, module(**names))
        with pytest.raises(
            InputError,
            match="argument 'n' was fixed when the engine was built\n  expected: 3\n  got:      4",
        ):
            engine(X, None, y, 4)
        with pytest.raises(
            InputError, match="argument 'mask' was .*\n  expected: None\n  got:      Tensor"
        ):
            engine(X, X, y, 3)


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


def test_runs_at_once_can_be_bounded(engine: forward.TorchEngine, tmp_path: Path) -> None:
    path = tmp_path / "nested.engine"
    engine.save(path)
    loaded, built = forward.TorchEngine(), forward.build(nn.ReLU().eval(), X, contexts=3)
    loaded.load(path, contexts=3)
    for one in (loaded, built, forward.load(path, contexts=3)):
        assert one.engine.contexts.limit == 3
    with pytest.raises(OptionError, match=r"argument 'contexts'(.|\n)*got:      -1"):
        forward.load(path, contexts=-1)
    with pytest.raises(OptionError, match=r"argument 'contexts'(.|\n)*got:      True"):
        loaded.load(path, contexts=True)


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
