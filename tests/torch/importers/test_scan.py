"""What stands behind an operator that nothing can stand in for is listed too."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import importing, scripted, traced

from fwd_core import Plugins
from fwd_core.errors import UnsupportedModelError
from fwd_core.events import Event, Events
from fwd_core.importing import ImportRequest
from fwd_ops_torch.converting.table import ConverterTable
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
                return y + torch.special.bessel_y0(x).sum()
            return y

    with pytest.raises(UnsupportedModelError, match="1 operator of 1 kind"):
        importing(scripted(Branches()), (X,))


class AfterIf(nn.Module):
    """Both branches of an if on data are looked at, and what follows."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            y = torch.cummax(x, 0)[0]
        else:
            y = torch.special.bessel_j0(x)
        return torch.special.bessel_j1(y)


class Numbers(nn.Module):
    """Numbers and lists carry what depends on data."""

    def forward(self, x: Tensor) -> Tensor:
        n = int(x.sum())
        counts = [n * 2, 3]
        y = x
        if counts[0] > 3:
            n = 1
            y = torch.special.bessel_j0(x)
        if n == 1:
            y = torch.special.bessel_j1(x)
        if len(x.shape) == 7:
            y = torch.special.i1(x)
        return y


Pair = NamedTuple("Pair", [("tensor", Tensor), ("number", int)])  # noqa: UP014 - torch reads types


class Tuples(nn.Module):
    """Named tuples carry tensors too."""

    def forward(self, x: Tensor) -> Tensor:
        pair = Pair(x, torch.nonzero(x).size(0))
        return torch.special.bessel_j0(pair.tensor) + pair.number


class Returns(nn.Module):
    """What comes after an early return is a branch, which the import has entered."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return torch.special.bessel_j1(x)
        y = torch.nonzero(x).sum()
        z = nn.functional.relu(torch.special.bessel_j0(x), inplace=False)
        if x.dim() == 4:
            return torch.special.bessel_y0(x)
        return z + y


class Written(nn.Module):
    """What is written through a view, and what is put into a list."""

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(4, 6)
        total[0].add_(x[0])
        parts: list[Tensor] = []
        z = torch.zeros(6)
        for i in range(3):
            z = z + x[i]
            parts.append(z)
        while bool(x.sum() > 0):
            x = torch.special.bessel_j0(x)
        return (
            torch.special.bessel_j1(total) + torch.special.bessel_y0(torch.stack(parts)).sum() + x
        )


class Known(nn.Module):
    """A branch that is known is left out, but what it returns is looked at."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros(4, 6)
        if x.size(0) == 4:
            y = y + x
        else:
            y = torch.special.bessel_j0(y)
        if torch.equal(x, y):
            y = torch.special.bessel_y0(y)
        z = torch.nonzero(x).sum()
        return torch.special.bessel_j1(y) + z


CUMMAX_CONVERTED = "aten::cummax" in ConverterTable.of(Plugins.discover())


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            AfterIf(),
            {"aten::special_bessel_j0", "aten::special_bessel_j1", "aten::cummax"}
            - ({"aten::cummax"} if CUMMAX_CONVERTED else set()),
        ),
        (Numbers(), {"aten::special_bessel_j0", "aten::special_bessel_j1"}),
        (Tuples(), {"aten::nonzero", "aten::special_bessel_j0"}),
        (Returns(), {"aten::nonzero", "aten::special_bessel_j0"}),
        (
            Written(),
            {
                "prim::Loop",
                "aten::special_bessel_j0",
                "aten::special_bessel_j1",
                "aten::special_bessel_y0",
            },
        ),
        (
            Known(),
            {
                "aten::nonzero",
                "aten::special_bessel_j1",
                "aten::special_bessel_y0",
            },
        ),
    ],
    ids=["if", "numbers", "tuples", "returns", "written", "known"],
)
def test_what_depends_on_inputs_is_found_behind_control_flow(
    module: nn.Module, expected: set[str]
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(module), (X,))
    found = {problem.operator for problem in caught.value.problems}
    assert found == expected


def test_every_loop_on_data_is_listed_once() -> None:
    class Loops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            while x.sum() < 0:
                x = x + 1
            while x.mean() < 0:
                x = x + 1
            return x

    with pytest.raises(UnsupportedModelError, match="2 operators of 1 kind") as caught:
        importing(scripted(Loops()), (X,))
    (problem,) = caught.value.problems
    assert problem.reason == "a loop depends on the contents of a tensor"
    assert problem.hint.startswith("run a fixed number of rounds")
    assert len(problem.places) == 2


def test_exported_programs_are_followed_through_writes() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            total = torch.zeros(4, 6)
            total[0].add_(x[0])
            complex_numbers = torch.fft.rfft(x).abs()
            return torch.special.bessel_j1(total).sum() + complex_numbers.sum()

    with pytest.raises(UnsupportedModelError) as caught:
        importing(torch.export.export(Writes().eval(), (X,)), (X,))
    found = {problem.operator for problem in caught.value.problems}
    assert found == {"aten::fft_rfft", "aten::special_bessel_j1"}


def test_loops_are_looked_at_once() -> None:
    class Loops(nn.Module):
        def forward(self, x: Tensor, count: int = 3) -> Tensor:
            y = torch.nonzero(x).sum()
            for _ in range(count):
                x = torch.special.bessel_y0(x)
            return y + x.sum() + torch.rand(2).sum()

    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(Loops()), (X,))
    found = {problem.operator: problem.count for problem in caught.value.problems}
    assert found == {"aten::nonzero": 1, "aten::special_bessel_y0": 1, "aten::rand": 1}


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
    assert found == {"aten::special_bessel_j0"}


def test_converted_calls_are_told_as_progress() -> None:
    heard: list[Event] = []
    request = ImportRequest((X,), Plugins.discover(), events=Events(heard.append))
    with pytest.raises(UnsupportedModelError):
        TorchScriptImporter().load(traced(Stops(), (X,)), request)
    steps = [event.step for event in heard if event.phase == "import"]
    # First relu; then abs (2), sum (4) and add (4) too, without what is done on constants.
    assert steps == [1, 11]
