"""``fwd build``, with whole outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_program import fwd, model

from fwd_core import Engine
from fwd_core.cli.codes import ExitCode

LAYERS: list[list[object]] = [["linear", 3], ["relu"]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, LAYERS)
    model(tmp_path, LAYERS, "other.layers")
    return tmp_path


PHASES = """\
load: packs
import: layers-file
rewrite: clean-up
rewrite: fusion
lower
save: m.engine
"""


def test_text() -> None:
    result = fwd("build", "model.layers", "--input", "x=2x4:float32", "-o", "m.engine")
    assert result.code == ExitCode.OK
    assert result.out == "built m.engine: toy float32, SIZE, T s\n"
    assert result.err == PHASES


def test_json() -> None:
    result = fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine", "--json")
    assert result.code == ExitCode.OK
    document = result.json
    assert document.pop("bytes") == Path("m.engine").stat().st_size
    assert document.pop("seconds") > 0
    phases = document.pop("phases")
    assert list(phases) == ["load", "import", "rewrite", "lower", "save"]
    assert all(seconds > 0 for seconds in phases.values())
    assert document == {
        "engine": "m.engine",
        "backend": "toy",
        "mode": "float32",
        "compute": "float32",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [2, 4]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [2, 3]}],
    }
    assert result.err == PHASES


def _shape(*arguments: str) -> str:
    from toy_program import plugins

    result = fwd("build", "model.layers", *arguments, "-o", "m.engine")
    assert result.code == ExitCode.OK, result.err
    engine = Engine.load("m.engine", plugins=plugins())
    (port,) = engine.inputs
    return f"{port} {[(s.name, s.min, s.opt, s.max) for s in port.type.symbols]}"


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        (["-i", "8x4"], "x: float32[8, 4] []"),
        (["-i", "y=8x4"], "y: float32[8, 4] []"),
        (["-i", "8x4", "--dynamic-batch"], "x: float32[batch, 4] [('batch', 1, 8, 8)]"),
        (["-i", "8x4", "--opt-batch", "2"], "x: float32[batch, 4] [('batch', 1, 2, 8)]"),
        (["-i", "1x4", "--opt-batch", "4"], "x: float32[batch, 4] [('batch', 1, 4, 4)]"),
        (["-i", "x=n[2,4,8]x4"], "x: float32[n, 4] [('n', 2, 4, 8)]"),
        (["-i", "x=a[1,1,2]xb[2, 3, 4]x4"], "x: float32[a, b, 4] [('a', 1, 1, 2), ('b', 2, 3, 4)]"),
    ],
)
def test_sizes(arguments: list[str], shape: str) -> None:
    assert _shape(*arguments) == shape


def test_options_reach_the_backend() -> None:
    result = fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine", "--option", "parallel=3")
    assert result.code == ExitCode.OK
    document = fwd("inspect", "m.engine", "--json").json
    assert document["manifest"]["options"] == {"parallel": 3, "device": "here"}


def test_the_graph_is_kept_when_asked_for() -> None:
    assert fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine").code == ExitCode.OK
    assert fwd("inspect", "m.engine", "--json").json["graph"] is None
    fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine", "--embed-graph")
    assert fwd("inspect", "m.engine", "--json").json["graph"]["operators"] == {
        "Linear": 1,
        "Relu": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["model.layers", "-i", "2x4", "-o", "nowhere/m.engine"],
            "error: cannot write nowhere/m.engine: No such file or directory\n"
            "  Hint: create the folder, or choose another\n",
        ),
        (
            ["model.layers", "-i", "2x4", "-o", "."],
            "error: cannot write .: it is a folder\n  Hint: create the folder, or choose another\n",
        ),
        (
            ["model.layers", "-i", "2x4", "-o", "./model.layers"],
            "error: cannot write ./model.layers: it is the model itself\n"
            "  Hint: choose another name for --output\n",
        ),
        (
            ["model.layers", "-i", "2x4", "-o", "other.layers"],
            "error: cannot write other.layers: the file that is there is no engine, and it would "
            "be lost\n"
            "  Hint: choose another name for --output, or delete that file first\n",
        ),
        (
            ["model.layers", "-i", "1x4", "-o", "m.engine", "--dynamic-batch"],
            "load: packs\n"
            "import: layers-file\n"
            "error: a dynamic batch of 1 … 1 could not change\n"
            "  expected: a first size of input 'x' of 2 or more: the greatest batch to come\n"
            "  got:      an example of shape [1, 4]\n"
            "  Hint: make the example, or the batch to tune for, as large as the greatest batch, "
            "or leave the dynamic batch out\n",
        ),
        (
            ["model.layers", "-i", "@missing.npy", "-o", "m.engine"],
            "error: there is no file missing.npy\n",
        ),
        (
            ["model.layers", "-i", "2x4", "-o", "m.engine", "--backend", "tyo"],
            "load: packs\n"
            "error: there is no backend 'tyo'\n"
            "  expected: auto, toy, absent\n"
            "  Hint: did you mean 'toy'?\n",
        ),
        (
            ["model.layers", "-i", "2x4", "-o", "m.engine", "--backend", "absent"],
            "load: packs\n"
            "error: backend 'absent' cannot build here\n"
            "  its library is missing: pip install absent\n",
        ),
        (
            ["model.layers", "-i", "2x4", "-o", "m.engine", "--threads", "2"],
            "load: packs\n"
            "error: backend 'toy' has no option 'threads'\n"
            "  expected: parallel, device\n"
            "  Hint: leave it out; or if it is of a pack, pip install that (`fwd plugins` lists "
            "those here)\n",
        ),
        (
            ["model.txt", "-i", "2x4", "-o", "m.engine"],
            "load: packs\nerror: no importer takes model.txt\n  expected: layers, layers-file\n",
        ),
    ],
)
def test_failures(arguments: list[str], text: str) -> None:
    result = fwd("build", *arguments)
    assert (result.code, result.out, result.err) == (ExitCode.FAILED, "", text)
    assert not Path("m.engine").exists()


def test_models_and_other_files_are_left_alone() -> None:
    before = {name: Path(name).read_text() for name in ("model.layers", "other.layers")}
    for name in before:
        assert fwd("build", "model.layers", "-i", "2x4", "-o", name).code == ExitCode.FAILED
    assert {name: Path(name).read_text() for name in before} == before
    Path("damaged.engine").write_bytes(b"8 bytes.{ and more")
    result = fwd("build", "model.layers", "-i", "2x4", "-o", "damaged.engine")
    assert "no engine, and it would be lost" in result.err


def test_engines_and_empty_files_are_replaced() -> None:
    Path("m.engine").touch()
    for _ in range(2):
        assert fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine").code == ExitCode.OK


def test_failure_as_json() -> None:
    result = fwd("build", "model.txt", "-i", "2x4", "-o", "m.engine", "--json")
    assert result.code == ExitCode.FAILED
    text = "no importer takes model.txt\n  expected: layers, layers-file"
    assert result.json == {
        "error": {
            "kind": "UnsupportedModelError",
            "text": text,
            "what": "no importer takes model.txt",
            "where": None,
            "expected": "layers, layers-file",
            "got": None,
            "details": [],
            "hint": None,
        },
        "exit_code": 1,
    }
    assert result.err == f"load: packs\nerror: {text}\n"


def test_unsupported_operators_are_part_of_the_json() -> None:
    model(Path(), [["swirl"], ["relu"], ["swirl"]], "bad.layers")
    result = fwd("build", "bad.layers", "-i", "2x4", "-o", "m.engine", "--json")
    assert result.code == ExitCode.FAILED
    assert result.json["error"]["problems"] == [
        {
            "operator": "toy::swirl",
            "reason": "no pack converts it",
            "count": 2,
            "places": ["layer0 (model.py:1 in forward)", "layer2 (model.py:3 in forward)"],
            "hint": "wait",
        }
    ]
