"""What TorchScript has beside operators: modes, objects, Python code, and lines that it loses."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, scripted

from fwd_core.errors import UnsupportedModelError
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.nearby import frames_of

X = torch.arange(6.0).reshape(2, 3)


class Quiet(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = x * 2
            with torch.autograd.profiler.record_function("inner"):
                y = y + 1
        return y + 1


def test_modes_that_change_no_result_are_walked_through(tmp_path: Path) -> None:
    check(Quiet(), (X,))
    path = tmp_path / "quiet.pth"
    scripted(Quiet()).save(str(path))
    check(Quiet(), (X,), model=path)


class Autocast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu"):
            y = x @ x.t()
        return torch.special.bessel_j0(y)


def _python(_module: nn.Module, x: Tensor) -> Tensor:
    return x + 1


_python.__annotations__ = {"x": Tensor, "return": Tensor}  # torch does not read strings here


class Ignores(nn.Module):
    python = torch.jit.ignore(_python)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(self.python(x))


class Pair:
    def __init__(self, a: int) -> None:
        self.a = a

    def twice(self) -> int:
        return self.a * 2


class MakesObject(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x) * Pair(3).twice()


def _side(x: Tensor) -> Tensor:
    return x + 1


class Forks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(torch.jit.wait(torch.jit.fork(_side, x)))


@pytest.mark.parametrize(
    ("module", "operator", "reason", "hint"),
    [
        (Autocast(), "prim::CreateObject", "autocast", "mode float16"),
        (Ignores(), "prim::PythonOp", "_python, which is Python code", "torch.jit.ignore"),
        (MakesObject(), "prim::CreateObject", "an object of the class Pair", "tuples"),
        (Forks(), "prim::fork", "a task of its own", "without torch.jit.fork"),
    ],
    ids=["autocast", "ignore", "object", "fork"],
)
def test_what_no_graph_holds_is_listed_with_the_rest(
    module: nn.Module, operator: str, reason: str, hint: str
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(module), (X,))
    found = {problem.operator: problem for problem in caught.value.problems}
    assert set(found) == {operator, "aten::special_bessel_j0"}
    assert found[operator].count == 1
    assert reason in found[operator].reason
    assert hint in found[operator].hint
    assert f"{__file__}:" in found[operator].places[0]


class TurnsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.unsqueeze(0)

        return y.T  # here


class TurnsFirst(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.T  # here

        z = y + 1
        return z * 2


class TurnsWithin(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        return (y @ x.T) * 2  # here


class SetsFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.items = [1, 2]

    def forward(self, x: Tensor) -> Tensor:
        y = self.items
        self.items = [3]  # here
        y.append(3)
        return x * len(y) + self.items[0]


class AddsNumber(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        return 2.5 - y  # here


@pytest.mark.parametrize(
    "module",
    [TurnsLast(), TurnsFirst(), TurnsWithin(), AddsNumber()],
    ids=lambda module: type(module).__name__,
)
def test_operators_that_torch_wrote_have_the_line_that_called_them(
    module: nn.Module, tmp_path: Path
) -> None:
    lines, start = inspect.getsourcelines(type(module))
    (want,) = [start + i for i, line in enumerate(lines) if line.endswith("# here\n")]
    path = tmp_path / "model.pth"
    scripted(module).save(str(path))
    for model in (scripted(module), jit.load(path)):
        lost = [node for node in model.graph.nodes() if 'File "<string>"' in node.sourceRange()]
        assert lost
        for node in lost:
            torchs, users = frames_of(node)
            assert torchs.file == "<string>"
            assert (users.file, users.line) == (__file__, want)


def test_setting_an_attribute_has_the_line_between_its_neighbours() -> None:
    lines, start = inspect.getsourcelines(SetsFirst)
    (want,) = [start + i for i, line in enumerate(lines) if line.endswith("# here\n")]
    nodes = [node for node in scripted(SetsFirst()).graph.nodes() if node.kind() == "prim::SetAttr"]
    (frames,) = map(frames_of, nodes)
    assert [(frame.file, frame.line) for frame in frames] == [(__file__, want)]


def test_the_user_is_told_that_line() -> None:
    graph = importing(scripted(AddsNumber()), (X,))
    places = [node.location for node in graph if node.location.frame is not None]
    lost = [place for place in places if place.frame and place.frame.file == "<string>"]
    assert lost
    for place in lost:
        assert f"{__file__}:" in str(place)
