"""Writes in place, through views of every kind, mean what torch means by them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, scripted

from fwd_core.errors import ConversionError

X = torch.arange(24.0).reshape(2, 3, 4)


class InPlaceChain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        z = y
        y += 2
        y.mul_(3)
        z.relu_()
        return y + z


class ThroughSlices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 1
        y[:, 1:3] += 10
        y[:, -1] = 5
        y[0].mul_(2)
        y[:, :, 0].zero_()
        return y


class ThroughShapes(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x * 1
        flat = y.view(6, 4)
        turned = flat.t()
        turned[0] += 100
        swapped = y.transpose(0, 1)
        swapped[1].sub_(1)
        y.permute(2, 0, 1)[3].fill_(7)
        y.unsqueeze(0).add_(0.5)
        return y, flat


class ViewsSeeWrites(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x * 1
        part = y[:, 0]
        y.add_(1)
        return part, y.narrow(1, 0, 2)


class CopyAndMask(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, :2].copy_(x[:, 1:])
        y.masked_fill_(y > 12, -1.0)
        y[1, 2, 3] = 3.5
        return y


class WritesToConstants(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        table = torch.ones(3, 4)
        table[1] = 2
        row = table[2]
        row.add_(1)
        return x * table


@pytest.mark.parametrize(
    "module",
    [
        InPlaceChain(),
        ThroughSlices(),
        ThroughShapes(),
        ViewsSeeWrites(),
        CopyAndMask(),
        WritesToConstants(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_scripted_and_exported_programs_write_alike(module: nn.Module) -> None:
    check(module, (X,))
    check(module, (X,), model=torch.export.export(module.eval(), (X,)))


def test_a_callers_input_is_not_changed_by_the_engine() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x.add_(1)
            return x * 2

    given = X.clone()
    from torch_models import running

    (result,) = running(scripted(Model()), (given,))
    assert torch.equal(given, X)
    assert (result == (X.numpy() + 1) * 2).all()


def test_reading_what_may_share_memory_with_something_written_is_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 1
            z = y.reshape(6, 4)
            z.add_(1)
            return y

    with pytest.raises(
        ConversionError, match="may share memory with one written in place"
    ) as caught:
        importing(scripted(Model()), (X,))
    assert "depends on strides" in str(caught.value)


def test_writing_what_may_share_memory_is_right_when_the_other_is_not_read_again() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = (x * 1).reshape(6, 4).contiguous()
            y.add_(1)
            return y

    check(Model(), (X,))


def test_a_write_through_a_view_without_an_inverse_is_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.select(2, 0).unsqueeze(2) * 1
            y.expand(2, 3, 4).add_(1)
            return y

    with pytest.raises(ConversionError, match="a write in place through aten::expand cannot be"):
        importing(scripted(Model()), (X,))


def test_a_write_that_would_change_the_dtype_is_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.to(torch.int64)
            y.add_(1.5)
            return y

    with pytest.raises(ConversionError, match="does not fit the tensor it writes to") as caught:
        importing(scripted(Model()), (X,))
    assert "expected: int64[2, 3, 4]" in str(caught.value)
