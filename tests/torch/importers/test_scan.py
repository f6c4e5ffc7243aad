"""What stands behind an operator that nothing can stand in for is listed too."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import importing, scripted, traced

from fwd_core import Plugins
from fwd_core.errors import UnsupportedModelError
from fwd_core.events import Event, Events
from fwd_core.importing import ImportRequest
from fwd_ops_torch.importers.torchscript import TorchScriptImporter

X = torch.rand(4, 6)


class Stops(nn.Module):
    """The first operator gives complex numbers, the second a size that depends on data."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.fft.rfft(x.relu()).abs()
        y = torch.fft.rfft(y).abs()
        z = torch.nonzero(x) + torch.nonzero(x).sum()
        constant = torch.special.bessel_j0(self.table)  # computed by torch itself
        return y.sum() + z.sum() + torch.special.bessel_j0(x).sum() + constant.sum()


def _exported(module: nn.Module, inputs: tuple[Tensor, ...]) -> object:
    return torch.export.export(module.eval(), inputs)


def _scripted(module: nn.Module, _inputs: tuple[Tensor, ...]) -> object:
    return scripted(module)


@pytest.mark.parametrize("form", [traced, _scripted, _exported])
def test_the_whole_program_is_looked_at(form: Any) -> None:
    with pytest.raises(UnsupportedModelError, match="5 operators of 3 kinds") as caught:
        importing(form(Stops(), (X,)), (X,))
    found = {problem.operator: problem.count for problem in caught.value.problems}
    assert found == {"aten::fft_rfft": 2, "aten::nonzero": 2, "aten::special_bessel_j0": 1}
    (nonzero,) = [one for one in caught.value.problems if one.operator == "aten::nonzero"]
    assert len(nonzero.places) == 1, "both are in one line"


def test_branches_that_may_not_be_taken_are_left_out() -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.nonzero(x).sum()
            if x.shape[0] == 3:
                return y + torch.special.i0(x).sum()
            return y

    with pytest.raises(UnsupportedModelError, match="1 operator of 1 kind"):
        importing(scripted(Branches()), (X,))


def test_loops_are_looked_at_once() -> None:
    class Loops(nn.Module):
        def forward(self, x: Tensor, count: int = 3) -> Tensor:
            y = torch.nonzero(x).sum()
            for _ in range(count):
                x = torch.special.i0(x)
            return y + x.sum() + torch.rand(2).sum()

    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(Loops()), (X,))
    found = {problem.operator: problem.count for problem in caught.value.problems}
    assert found == {"aten::nonzero": 1, "aten::i0": 1, "aten::rand": 1}


def test_bodies_of_exported_control_flow_are_looked_at() -> None:
    class Conditional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cond(
                x.sum() > 0, lambda y: torch.special.bessel_j0(y), lambda y: y + 1, (x,)
            )

    program = torch.export.export(Conditional().eval(), (X,))
    with pytest.raises(UnsupportedModelError) as caught:
        importing(program, (X,))
    found = {problem.operator for problem in caught.value.problems}
    assert found == {"higher_order::cond", "aten::special_bessel_j0"}


def test_converted_calls_are_told_as_progress() -> None:
    heard: list[Event] = []
    request = ImportRequest((X,), Plugins.discover(), events=Events(heard.append))
    with pytest.raises(UnsupportedModelError):
        TorchScriptImporter().load(traced(Stops(), (X,)), request)
    steps = [event.step for event in heard if event.phase == "import"]
    # First relu; then abs (2), sum (4) and add (4) too, without what is done on constants.
    assert steps == [1, 11]
