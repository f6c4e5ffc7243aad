"""``forward.quantize``: int8 that loses no more than is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

import forward
from fwd_core.errors import CalibrationError, OptionError


class Net(torch.nn.Module):
    """Convolutions, of which one reads channels of very different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.ModuleList(torch.nn.Conv2d(8, 8, 1) for _ in range(4))
        self.register_buffer("scales", torch.tensor([500.0] + [1.0] * 7)[:, None, None])
        with torch.no_grad():
            self.body[2].weight[:, 0] /= 500

    def forward(self, x: Any) -> Any:
        for index, layer in enumerate(self.body):
            x = torch.relu(layer(x * self.scales if index == 2 else x))
        return x


DATA = list(torch.randn(6, 2, 8, 4, 4, generator=torch.Generator().manual_seed(1)))


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


def _nearness(net: Any) -> Any:
    def metric(engine: forward.TorchEngine) -> float:
        found = torch.cat([engine(x) for x in DATA])
        wanted = torch.cat([net(x) for x in DATA]).detach()
        return 1 - float((found - wanted).norm() / wanted.norm())

    return metric


def test_the_sensitive_layer_stays_in_float(net: Any, tmp_path: Path) -> None:
    metric = _nearness(net)
    found = forward.quantize(
        net, DATA[0], DATA, metric=metric, max_drop=0.05, algorithm="minmax", backend="openvino"
    )
    assert [one.module for one in found.floats] == ["body.2"]
    assert found.attempts[0].drop > 0.05 >= found.drop
    assert isinstance(found.engine, forward.TorchEngine)
    assert metric(found.engine) == pytest.approx(found.value)
    found.engine.save(tmp_path / "m.engine")
    assert metric(forward.load(tmp_path / "m.engine")) == pytest.approx(found.value)


def test_a_bound_that_cannot_hold_and_arguments(net: Any) -> None:
    def quantize(**more: Any) -> Any:
        given = {"metric": _nearness(net), "batches": DATA, "algorithm": "minmax"} | more
        return forward.quantize(net, DATA[0], backend="openvino", **given)

    with pytest.raises(CalibrationError, match="does not stay within the bound"):
        quantize(max_drop=0)
    with pytest.raises(OptionError, match="argument 'metric'"):
        quantize(metric="accuracy")
    with pytest.raises(CalibrationError, match="batches are what can be iterated over"):
        quantize(batches=3)
