"""The program with the core's own pack, on TensorRT-RTX."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("tensorrt_rtx")

from toy_program import Pack, fwd, model

from fwd_core import Plugins, core_pack
from fwd_core.cli.codes import ExitCode

BUILD = ["build", "model.layers", "-i", "x=batch[1,2,8]x4", "-b", "tensorrt", "-o", "m.engine"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["linear", 3], ["relu"]])
    return tmp_path


@pytest.fixture
def packs() -> Plugins:
    return Plugins({"core": core_pack, "files": Pack()})


def _build(packs: Plugins, *options: str) -> tuple[int, str]:
    flags = [flag for option in options for flag in ("--option", option)]
    result = fwd(*BUILD, "--option", "flavour=tensorrt_rtx", *flags, packs=packs)
    return result.code, result.err


def test_profiles_and_layers_are_shown(packs: Plugins) -> None:
    profiles = 'profiles=[{"batch": "1,1,2"}, {"batch": [3, 4, 8]}]'
    code, told = _build(packs, profiles, "layers=true", "tactic_sources=jit_convolutions")
    assert code == ExitCode.OK, told
    document = fwd("inspect", "m.engine", "--json", packs=packs).json
    assert document["manifest"]["profiles"] == [{"batch": [1, 1, 2]}, {"batch": [3, 4, 8]}]
    assert document["manifest"]["layers"]
    assert document["manifest"]["plugins"] == []
    text = fwd("inspect", "m.engine", packs=packs).out
    assert (
        "\nprofiles\n  0  batch 1 … 2 (tuned for 1)\n  1  batch 3 … 8 (tuned for 4)\n"
        "compiled layers ("
    ) in text
    assert re.search(r"^  plugins +none$", text, re.MULTILINE)


def test_one_profile_needs_no_lines(packs: Plugins) -> None:
    code, told = _build(packs)
    assert code == ExitCode.OK, told
    text = fwd("inspect", "m.engine", packs=packs).out
    assert "batch  1 … 8, tuned for 2" in text
    assert "profiles\n" not in text


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            'profiles=[{"batch": "1,1,2"}]',
            "error: option 'profiles' of backend 'tensorrt': no profile holds batch = 3 … 8\n"
            "  expected: profiles that together begin at 1 and end at 8\n"
            "  got:      1 … 2\n"
            "  Hint: add a profile, or build with a range as small as what will be run\n",
        ),
        (
            "profiles=batch",
            "error: option 'profiles' of backend 'tensorrt'\n"
            '  expected: a JSON list of mappings such as {"batch": (1, 4, 8)} or '
            '{"batch": "1,4,8"}\n'
            "  got:      batch\n"
            "  Expecting value: line 1 column 1 (char 0)\n"
            '  Hint: in a shell: --option \'profiles=[{"batch": "1,4,8"}]\'\n',
        ),
        (
            "timing_cache=off",
            "error: option 'timing_cache' of backend 'tensorrt': tensorrt_rtx measures no kernels "
            "while it builds, so there is no timing cache\n"
            "  expected: auto, the default\n"
            "  got:      off\n"
            "  Hint: leave the option out, or choose another flavour\n",
        ),
        (
            "version_compatible=yes",
            "error: option 'version_compatible' of backend 'tensorrt': tensorrt_rtx makes plans "
            "for its own version only\n"
            "  expected: False, the default\n"
            "  got:      True\n"
            "  Hint: leave the option out, or choose another flavour\n",
        ),
    ],
)
def test_what_cannot_be_honoured(packs: Plugins, option: str, text: str) -> None:
    code, told = _build(packs, option)
    assert code == ExitCode.FAILED
    assert told.endswith(text)
