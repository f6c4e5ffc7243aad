"""Loops of exported programs: unrolled where the number of rounds is known."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch._higher_order_ops.map import map as torch_map
from torch._higher_order_ops.scan import scan
from torch_models import check, importing

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_ops_torch.importers import loops_fx, refusals

#: Of torch's own, while it looks at the functions that are repeated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")

X = torch.arange(12.0).reshape(4, 3) - 5


class Repeats(nn.Module):
    """A counter that ends the loop, a carried tensor and a weight from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Any:
        def more(count: Tensor, _y: Tensor) -> Tensor:
            return count < 5

        def once(count: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return count + 1, self.layer(y).relu()

        return torch._higher_order_ops.while_loop(more, once, (torch.tensor(2), x))


class Scans(nn.Module):
    """Running sums, and products of them with each row."""

    def __init__(self, reverse: bool) -> None:
        super().__init__()
        self.reverse = reverse
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Any:
        def step(total: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
            return total + row * self.scale, total * row

        return scan(step, torch.zeros(3), x, reverse=self.reverse)


class Maps(nn.Module):
    """A function of each row and of one more tensor."""

    def forward(self, x: Tensor) -> Any:
        return torch_map(lambda row, last: torch.outer(row, last), x, x.sum(0))


@pytest.mark.parametrize(
    "model", [Repeats(), Scans(False), Scans(True), Maps()], ids=["while", "scan", "back", "map"]
)
def test_known_rounds_are_unrolled(model: nn.Module) -> None:
    program = torch.export.export(model.eval(), (X,))
    for form in (program, program.run_decompositions()):
        check(model, (X,), (-X,), model=form)


@pytest.mark.parametrize(("model", "name"), [(Scans(False), "scan"), (Maps(), "map")])
def test_a_dynamic_number_of_rounds_is_refused(model: nn.Module, name: str) -> None:
    rows = {0: torch.export.Dim("rows", min=2, max=8)}
    program = torch.export.export(model, (X,), dynamic_shapes=(rows,))
    with pytest.raises(UnsupportedModelError) as caught:
        importing(program, (X,), {"x": {0: ("rows", 2, 4, 8)}})
    assert (
        f"higher_order::{name} (1x): a loop depends on a dynamic size (it runs rows times)"
        in str(caught.value)
    )


def test_too_many_rounds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "UNROLL_LIMIT", 3)
    monkeypatch.setattr(loops_fx, "UNROLL_LIMIT", 3)
    for model in (Maps(), Scans(False)):
        program = torch.export.export(model, (X,))
        with pytest.raises(ConversionError, match="a loop of more than 3 rounds would be unrolled"):
            importing(program, (X,))
    program = torch.export.export(Repeats(), (X,))
    assert len(importing(program, (X,)).outputs) == 2
