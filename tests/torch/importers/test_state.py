"""State that a model changes while it runs: what changes is named, with the user's line."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any, Optional

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, scripted, traced

from fwd_core.errors import ConversionError
from fwd_ops_torch.importers import jit

X = torch.arange(4.0)


class Module(nn.Module):
    """With state of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.items = [1, 2]
        self.nested = {"a": [1, 2]}
        self.table = {"a": 1}
        self.k = 1
        self.last = torch.jit.Attribute(None, Optional[Tensor])
        self.parts = [torch.ones(4)]
        self.pair = (1, [2])
        self.register_buffer("b", torch.ones(4))


class Appends(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.items.append(3)
        return x * len(self.items)


class SetsItem(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.table["b"] = 2
        return x * len(self.table)


class Reorders(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.items.reverse()
        return x * self.items[0]


class ChangesNested(Module):
    def forward(self, x: Tensor) -> Tensor:
        inner = self.nested["a"]
        inner.append(5)
        return x * len(self.nested["a"])


class InTuple(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.pair[1].append(5)
        return x * len(self.pair[1])


class Counts(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.k = self.k + 1
        return x * self.k


class CountsInPlace(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.k += 1
        return x * self.k


class Remembers(Module):
    def forward(self, x: Tensor) -> Tensor:
        last = self.last
        if last is None:
            last = x
        self.last = x
        return last + x


class Replaces(Module):
    def forward(self, x: Tensor) -> Tensor:
        n = len(self.items)
        self.items = [5, 6, 7]
        return x * n


class WritesPart(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.parts[0].add_(1)
        return x * self.parts[0]


class SwapsPart(Module):
    def forward(self, x: Tensor) -> Tensor:
        y = self.parts[0] * x
        self.parts[0] = x
        return y


class AddsToBuffer(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.b += 1
        return x * self.b


class SetsBuffer(Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * self.b
        self.b = x
        return y


class TurnsBuffer(Module):
    def forward(self, x: Tensor) -> Tensor:
        self.b.unsqueeze_(0)
        return x * self.b


CHANGING = [
    (Appends(), "items"),
    (SetsItem(), "table"),
    (Reorders(), "items"),
    (ChangesNested(), "nested"),
    (InTuple(), "pair"),
    (Counts(), "k"),
    (CountsInPlace(), "k"),
    (Remembers(), "last"),
    (Replaces(), "items"),
    (WritesPart(), "parts.0"),
    (SwapsPart(), "parts"),
    (AddsToBuffer(), "b"),
    (SetsBuffer(), "b"),
    (TurnsBuffer(), "b"),
]
WRITES = re.compile(
    r"append|reverse|self\.k (\+)?=|self\.last =|self\.items =|add_|\+= 1|self\.b = |unsqueeze_"
    r"|self\.parts\[0\] =|\] = 2"
)


@pytest.mark.parametrize(("module", "name"), CHANGING, ids=[type(m).__name__ for m, _ in CHANGING])
def test_state_that_changes_is_refused_with_its_name_and_line(module: Any, name: str) -> None:
    with pytest.raises(ConversionError, match=f"its own state while it runs: {name}\n") as caught:
        importing(scripted(module), (X,))
    assert _line(str(caught.value)) in _writing(type(module))


def test_state_of_inner_modules_has_their_path() -> None:
    model = nn.Sequential(nn.ReLU(), Counts(), Counts())
    with pytest.raises(ConversionError, match=r"while it runs: 1\.k, 2\.k\n") as caught:
        importing(scripted(model), (X,))
    assert str(caught.value).count(f"{__file__}:") == 2, "each has its place"


class Unchanged(Module):
    """Reads, puts back, and keeps what it has overwritten before it reads it."""

    def forward(self, x: Tensor) -> Tensor:
        self.items.append(3)
        n = len(self.items)
        removed = self.items.pop()
        self.k = self.k * 1
        self.last = x + 1
        last = self.last
        assert last is not None
        return x * n * removed + self.k + last


def test_state_that_is_as_before_is_no_state() -> None:
    check(Unchanged(), (X,))


def test_two_reads_of_a_list_are_one_list() -> None:
    class Model(Module):
        def forward(self, x: Tensor) -> Tensor:
            first = self.items
            self.items.append(7)
            last = first.pop()
            return x * last + len(self.items)

    check(Model(), (X,))


def test_constants_that_a_traced_graph_writes_to_are_refused() -> None:
    class Inside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            c = torch.tensor([1.0, 2.0, 3.0, 4.0])
            c.add_(1)
            return x * c

    outside = torch.tensor([1.0, 2.0, 3.0, 4.0])

    class Outside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            outside.add_(1)
            return x * outside

    for module in (Inside(), Outside()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that it keeps the tensor
            model = jit.trace(module.eval(), (X,), check=False)
        with pytest.raises(ConversionError, match="its own state while it runs: a constant") as e:
            importing(model, (X,))
        assert _line(str(e.value)) in _writing(type(module))
        assert "clone" in str(e.value)


def test_tensors_that_a_model_makes_may_be_written() -> None:
    class Makes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            c = torch.zeros(4)
            c.add_(1)
            d = torch.full((4,), 3.0)
            d[1] = 5
            return x * c + d

    class MakesScripted(nn.Module):
        def add(self, x: Tensor) -> Tensor:
            c = torch.tensor([1.0, 2.0, 3.0, 4.0])
            c.add_(1)
            return x * c

        def forward(self, x: Tensor) -> Tensor:
            return self.add(self.add(x))

    check(Makes(), (X,), model=traced(Makes(), (X,)))
    check(MakesScripted(), (X,))
    for module in (Makes(), MakesScripted()):
        check(module, (X,), model=torch.export.export(module.eval(), (X,)))


def test_exported_programs_tell_the_line_too() -> None:
    program = torch.export.export(AddsToBuffer().eval(), (X,))
    for model in (program, program.run_decompositions()):
        with pytest.raises(ConversionError, match="its own state while it runs: b\n") as caught:
            importing(model, (X,))
        assert _line(str(caught.value)) in _writing(AddsToBuffer)


def _line(text: str) -> int:
    found = re.search(re.escape(__file__) + r":(\d+)", text)
    assert found is not None, text
    return int(found.group(1))


def _writing(module: type) -> set[int]:
    """Lines of a class that write."""
    lines, start = inspect.getsourcelines(module)
    return {start + i for i, line in enumerate(lines) if WRITES.search(line)}
