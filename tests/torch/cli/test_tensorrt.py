"""Engines for a GPU that is elsewhere, by the program."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorrt_rtx")

from torch import Tensor, nn
from torch_models import traced
from toy_program import fwd

from fwd_core import Plugins
from fwd_core.cli.codes import ExitCode

PLUGINS = Plugins.discover()
FORM = [
    *("build", "model.pth", "--input", "x=1x3x8x8:float32", "--mode", "float16"),
    *("--backend", "tensorrt", "--gpu", "sm_89", "--opt-batch", "4", "-o", "model.engine"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.convolution(x).relu()
            return result

    traced(Small(), (torch.rand(1, 3, 8, 8),)).save("model.pth")


def test_the_promised_form() -> None:
    why = PLUGINS.backends["tensorrt"].availability().reason
    result = fwd(*FORM, packs=PLUGINS)
    assert (result.code, result.out) == (
        ExitCode.OK,
        "built model.engine: tensorrt float16, SIZE, T s\n"
        f"self-check: not run: backend 'tensorrt' cannot run here: {why}\n",
    ), result.err
    document = fwd("inspect", "model.engine", "--json", packs=PLUGINS).json
    assert document["manifest"]["gpus"] == ["sm_89"]
    assert document["manifest"]["compute"] == "float16"
    assert document["dims"] == {"batch": {"min": 1, "opt": 4, "max": 4}}
    assert document["inputs"][0]["dtype"] == "float32", "the model's own"


def test_gpus_that_cannot_be_built_for() -> None:
    form = [argument.replace("sm_89", "sm_11") for argument in FORM]
    result = fwd(*form, packs=PLUGINS)
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    told = "error: option 'gpu' of backend 'tensorrt': tensorrt_rtx cannot build for sm_11\n"
    assert told in result.err


def test_check() -> None:
    result = fwd("check", "model.pth", "-i", "1x3x8x8", "-b", "tensorrt", packs=PLUGINS)
    assert result.code == ExitCode.OK
    assert result.out == "PASSED model.pth: tensorrt: 2 operators, 2 supported, 100 %\n"
