"""Names of values are fixed at import: they depend on the model, not on packs or the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import importing, traced

from fwd_core import Plugins

PROGRAM = """
import sys, torch
from fwd_core import Builder
graph = Builder().import_model(sys.argv[1], (torch.zeros(2, 8),))
print([value.name for value in graph.values()])
"""


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x)) + x
        return torch.softmax(self.second(y), -1) + y + x


def model() -> torch.jit.ScriptModule:
    torch.manual_seed(0)
    return traced(nn.Sequential(Block(), Block()), (torch.zeros(2, 8),))


def test_names_say_module_operator_and_ordinal() -> None:
    graph = importing(model(), (torch.zeros(2, 8),))
    names = [value.name for value in graph.values()]
    for name in (
        "0.first.weight",
        "0.first/linear",
        "0/relu",
        "0/add",
        "0/add_1",
        "0/add_2",
        "1/softmax",
    ):
        assert name in names
    assert len(set(names)) == len(names)


def test_names_are_the_same_with_and_without_packs() -> None:
    everything = importing(model(), (torch.zeros(2, 8),))
    alone = Plugins.discover({"FWD_PACKS": "torch"})
    assert sorted(pack.name for pack in alone.packs.values() if not pack.disabled) == [
        "core",
        "torch",
    ]
    without = importing(model(), (torch.zeros(2, 8),), plugins=alone)
    assert [v.name for v in everything.values()] == [v.name for v in without.values()]


def test_names_are_the_same_in_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    model().save(str(path))
    told = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(path)],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    here = [value.name for value in importing(path, (torch.zeros(2, 8),)).values()]
    assert told[0].strip() == str(here)
