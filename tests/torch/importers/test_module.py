"""Plain modules: tensors that are given twice, and inputs on which a module itself fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing

import forward
from fwd_core.errors import InputError, UnsupportedModelError
from fwd_core.importing import OptBatch

X = torch.randn(4, 3)


class Add(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a - 2 * b


class AddList(nn.Module):
    def forward(self, pair: Sequence[Tensor]) -> Tensor:
        return pair[0] - 2 * pair[1]


@pytest.mark.parametrize("other", ["itself", "detached", "view", "data"])
def test_one_tensor_as_two_inputs(other: str) -> None:
    again = {"itself": X, "detached": X.detach(), "view": X.view(4, 3), "data": X.data}[other]
    y = torch.randn(4, 3)
    engine = forward.build(Add().eval(), (X, again), backend="openvino")
    torch.testing.assert_close(engine(X, y), X - 2 * y)
    by_name = forward.build(Add().eval(), {"a": X, "b": again}, backend="openvino")
    torch.testing.assert_close(by_name(X, y), X - 2 * y)
    nested = forward.TorchBuilder(backend="openvino").build(AddList().eval(), ([X, again],))
    torch.testing.assert_close(nested([X, y]), X - 2 * y)
    listed = forward.TorchBuilder(backend="openvino").build(Add().eval(), [X, again])
    torch.testing.assert_close(listed(X, y), X - 2 * y)


def test_one_tensor_as_two_inputs_with_a_dynamic_batch() -> None:
    check(Add(), (X, X), (X[:2], 3 * X[:2]), model=Add().eval(), dynamic=OptBatch())


def test_views_of_one_tensor() -> None:
    whole = torch.randn(6)
    check(Add(), (whole[:4], whole[2:]), (whole[:4], whole[:4]), model=Add().eval())


def test_an_input_that_is_a_parameter_or_a_buffer() -> None:
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3))
            self.register_buffer("offset", torch.randn(3))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight + self.offset

    module, x = Owner().eval(), torch.randn(3)
    for given in (module.weight, module.offset, module.weight.data):
        engine = forward.build(module, (given,), backend="openvino")
        torch.testing.assert_close(engine(x), module(x).detach())


def test_example_inputs_are_not_written() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x += 1
            raise RuntimeError("and then it fails")

    x = torch.zeros(3)
    with pytest.raises(InputError, match="Writes itself fails"):
        importing(Writes().eval(), (x,))
    assert not x.any()


def test_a_wrong_shape_is_told_as_what_it_is() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval()
    with pytest.raises(
        InputError, match="Sequential itself fails on the example inputs\n  at .*linear.py:"
    ) as caught:
        importing(module, (torch.randn(2, 5),))
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x5 and 3x4)" in str(
        caught.value
    )
    assert "Hint: call the module with them yourself" in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ((X, "a"), "TypeError: "),
        ((X, [[1.0, 2.0]] * 4), "RuntimeError|TypeError"),
        ((X, torch.randn(5, 5)), "RuntimeError: The size of tensor a"),
    ],
    ids=["text", "numbers", "shape"],
)
def test_a_wrong_type_is_told_with_the_users_line(inputs: tuple[Any, ...], text: str) -> None:
    with pytest.raises(InputError, match="Add itself fails on the example inputs") as caught:
        importing(Add().eval(), inputs)
    assert f"at {__file__}:26 in forward\n" in str(caught.value)
    assert any(part in str(caught.value) for part in text.split("|"))


def test_buffers_stay_as_they_are_when_a_module_fails() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return x if x.sum() > 0 else -x

    module = Counter().eval()
    with pytest.raises(UnsupportedModelError, match="torch.export cannot export Counter"):
        importing(module, (X,))
    assert module.count.item() == 0


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


class Swap(nn.Module):
    def forward(self, pair: Pair, scale: Tensor) -> Pair:
        return Pair(pair.b * scale, pair.a)


@pytest.mark.parametrize("form", ["module", "exported", "decomposed", "scripted"])
def test_named_tuples_go_in_and_out(form: str) -> None:
    module = Swap().eval()
    inputs = (Pair(X, 2 * X), torch.tensor(3.0))
    model: Any = module
    if form in ("exported", "decomposed"):
        model = torch.export.export(module, inputs)
    if form == "decomposed":
        from fwd_ops_torch.testing import decomposed

        model = decomposed(model)
    if form == "scripted":
        from torch_models import scripted

        model = scripted(module)
    engine = forward.build(model, inputs, backend="openvino")
    assert [port.name for port in engine.engine.inputs] == ["pair_0", "pair_1", "scale"]
    for pair in (inputs[0], tuple(inputs[0])):
        first, second = engine(pair, inputs[1])
        torch.testing.assert_close(first, 6 * X)
        torch.testing.assert_close(second, X)


def test_named_tuples_with_a_dynamic_batch() -> None:
    engine = forward.build(
        Swap().eval(), (Pair(X, 2 * X), torch.tensor(3.0)), backend="openvino", dynamic_batch=True
    )
    first, second = engine(Pair(X[:2], X[2:]), np.float32(2))
    torch.testing.assert_close(first, 2 * X[2:])
    torch.testing.assert_close(second, X[:2])
