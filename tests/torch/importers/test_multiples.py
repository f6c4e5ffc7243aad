"""Sizes that are multiples: models that halve a size and double it again."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import check, importing, scripted, traced

from fwd_core.errors import ConversionError, ForwardError, InputError, UnsupportedModelError

X = torch.rand(1, 1, 16, 8)
OTHERS = [(torch.rand(1, 1, height, width),) for height, width in ((8, 8), (12, 16), (32, 4))]
DYNAMIC = {"x": {2: ("4*h", 8, 16, 32), 3: ("4*w", 4, 8, 16)}}
PLAIN = {"x": {2: ("h", 8, 16, 32), 3: ("w", 4, 8, 16)}}


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.down = nn.Conv2d(2, 2, 3, 2, 1)
        self.deeper = nn.Conv2d(2, 2, 3, 2, 1)
        self.up = nn.ConvTranspose2d(2, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        down = self.down(first)
        y = torch.cat([self.up(self.deeper(down)), down], 1)
        return torch.cat([nn.functional.interpolate(y, scale_factor=2.0), first], 1)


class Pooled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.max_pool2d(nn.functional.max_pool2d(x, 2), 2)
        return y.repeat_interleave(4, 2).repeat_interleave(4, 3) + x


class Shuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(nn.functional.pixel_unshuffle(x, 4), 4) + x


class Patches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5)
        return y.reshape(n, (h // 4) * (w // 4), c * 16)


MODELS = [UNet, Pooled, Shuffled, Patches]


@pytest.fixture(params=MODELS, ids=lambda make: make.__name__)
def module(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return request.param().eval()


def _program(module: nn.Module) -> Any:
    h, w = torch.export.Dim("h", min=2, max=8), torch.export.Dim("w", min=1, max=4)
    return torch.export.export(module, (X,), dynamic_shapes={"x": {2: 4 * h, 3: 4 * w}})


@pytest.mark.parametrize("kind", ["traced", "scripted", "module", "exported"])
def test_multiples_are_halved_and_doubled(module: nn.Module, kind: str) -> None:
    model = {
        "traced": lambda: traced(module, (X,)),
        "scripted": lambda: scripted(module),
        "module": lambda: module,
        "exported": lambda: _program(module),
    }[kind]()
    check(module, (X,), *OTHERS, model=model, dynamic=DYNAMIC)


def test_other_sizes_are_told_what_to_say(module: nn.Module) -> None:
    for model in (traced(module, (X,)), scripted(module)):
        with pytest.raises(ConversionError) as caught:
            importing(model, (X,), PLAIN)
        assert "before" in str(caught.value.hint)
        assert "'4*h'" in str(caught.value.hint) or "'4*name'" in str(caught.value.hint)
    with pytest.raises(UnsupportedModelError) as refused:
        importing(module, (X,), PLAIN)
    assert "'4*" in str(refused.value.hint)
    with pytest.raises(InputError, match=r"the program says its size is 4\*s\d+") as fixed:
        importing(_program(module), (X,), PLAIN)
    assert fixed.value.expected == "a multiple of 4"
    assert fixed.value.hint == "say that it is a multiple: ('4*name', min, opt, max)"


def test_a_greater_multiple_is_named() -> None:
    asked = {"x": {2: ("2*h", 8, 16, 32)}}
    with pytest.raises(ConversionError) as caught:
        importing(traced(Patches(), (X,)), (X,), asked)
    assert "'4*h'" in str(caught.value.hint)


def test_a_static_size_has_to_be_a_multiple_too() -> None:
    program = _program(Pooled())
    check(Pooled(), (X,), model=program)
    with pytest.raises(InputError, match="a multiple of 4\n  got:      6"):
        importing(program, (X[:, :, :6],))


def test_a_name_that_torch_does_not_take() -> None:
    asked = {"x": {2: ("the height", 8, 16, 32)}}
    check(nn.ReLU(), (X,), (X[:, :, :8],), model=_Named().eval(), dynamic=asked)


class _Named(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu()


def test_what_torch_cannot_prove() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, : min(x.size(2), 9)]

    with pytest.raises(ForwardError) as caught:
        importing(Half().eval(), (X,), PLAIN)
    assert "torch.jit.trace keeps the arithmetic" in str(caught.value.hint)
