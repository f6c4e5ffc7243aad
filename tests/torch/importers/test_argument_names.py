"""Inputs have the names of the arguments of ``forward`` as written, capitals too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import importing

import forward
from fwd_core.errors import InputError

X, Y = torch.randn(3, 2), torch.randn(3, 2)
ROWS = ("rows", 1, 2, 3)
DYNAMIC = {"xA": {0: ROWS}, "Bx": {0: ROWS}}


class Capitals(nn.Module):
    def forward(self, xA: Tensor, Bx: Tensor) -> Tensor:  # noqa: N803 - capitals are the point
        return xA - 2 * Bx


def program() -> torch.export.ExportedProgram:
    rows = torch.export.Dim("rows", min=1, max=8)
    return torch.export.export(Capitals().eval(), (X, Y), dynamic_shapes=({0: rows}, {0: rows}))


def form(kind: str, folder: Path) -> Any:
    if kind == "module":
        return Capitals().eval()
    if kind == "file":
        torch.export.save(program(), folder / "model.pt2")
        return folder / "model.pt2"
    return program().run_decompositions() if kind == "decomposed" else program()


@pytest.mark.parametrize("kind", ["module", "program", "decomposed", "file"])
def test_capitals_stay(kind: str, tmp_path: Path) -> None:
    model = form(kind, tmp_path)
    for given in ((X, Y), {"Bx": Y, "xA": X}):
        engine = forward.build(model, given, dynamic=DYNAMIC, backend="openvino")
        assert [one.name for one in engine.engine.inputs] == ["xA", "Bx"]
        torch.testing.assert_close(engine(X, Y), Capitals()(X, Y))
        torch.testing.assert_close(engine(Bx=Y[:1], xA=X[:1]), Capitals()(X[:1], Y[:1]))


def test_names_in_small_letters_are_others(tmp_path: Path) -> None:
    for kind in ("module", "program", "file"):
        with pytest.raises(InputError) as caught:
            importing(form(kind, tmp_path), (X, Y), {"xa": {0: ROWS}})
        assert caught.value.what == "dynamic dims for inputs that the model does not have: xa"
        assert caught.value.expected == "xA, Bx"


def test_arguments_by_name_and_nested() -> None:
    class Nested(nn.Module):
        def forward(self, Pair: list[Tensor], Last: Tensor) -> Tensor:  # noqa: N803
            return Pair[0] * Pair[1] - Last

    model = torch.export.export(Nested().eval(), ([X, Y],), {"Last": X.clone()})
    graph = importing(model, ([X, Y], X))
    assert [value.name for value in graph.inputs] == ["Pair_0", "Pair_1", "Last"]


def test_a_program_that_holds_no_names_takes_the_users_spelling() -> None:
    model = program()
    signature = model.module_call_graph[0].signature
    assert signature is not None
    signature.forward_arg_names = None  # as programs of older torch load
    for given in ((X, Y), {"xA": X, "Bx": Y}):
        graph = importing(model, given, DYNAMIC)
        assert [value.name for value in graph.inputs] == ["xA", "Bx"]
    assert [value.name for value in importing(model, (X, Y)).inputs] == ["xa", "bx"]
