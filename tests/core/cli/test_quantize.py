"""``fwd quantize`` on OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino")

from toy_program import Pack, Result, model
from toy_program import fwd as program

from fwd_core import Plugins, core_pack
from fwd_core.cli.codes import ExitCode
from fwd_core.cli.quantize import drop_of

METRIC = """
def worse_in_int8(engine):
    return 0.9 if engine.manifest["mode"] == "float32" else 0.5

def equal(engine):
    return 0.9

def second(engine):
    told.append(engine)
    return [0.9, 0.5, 0.8999][len(told) - 1]

def fails(engine):
    raise ValueError("no labels")

told = []
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["linear", 6], ["relu"], ["linear", 3]])
    np.save("x.npy", np.random.default_rng(5).random((8, 4), np.float32))
    return tmp_path


@pytest.fixture
def metric(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of this test alone, in its folder."""
    name = f"metric_{abs(hash(request.node.nodeid))}"
    Path(f"{name}.py").write_text(METRIC)
    monkeypatch.syspath_prepend(str(folder))
    return name


def fwd(metric: str, *more: str) -> Result:
    data = ["--calibrate", "x.npy", "--metric", metric, "-o", "m.engine"]
    bound = [] if "--max-drop" in more else ["--max-drop", "0.5%"]
    arguments = ["quantize", "model.layers", "-i", "2x4", *data, *bound, *more]
    return program(*arguments, packs=Plugins({"core": core_pack, "files": Pack()}))


def test_nothing_needs_to_be_moved(metric: str) -> None:
    result = fwd(f"{metric}:equal")
    assert result.code == ExitCode.OK, result.err
    head, *lines = result.out.splitlines()
    assert head.startswith("built m.engine: openvino int8 (int8, ")
    assert lines == [
        "  float32   0.9",
        "  int8      0.9, a drop of 0; at most 0.005",
        "  products  2 of 2 in int8",
        "  builds    1",
    ]
    assert Path("m.engine").exists()


def test_a_layer_moves_to_float(metric: str) -> None:
    document = fwd(f"{metric}:second", "--json").json
    assert (document["baseline"], document["value"]) == (0.9, 0.8999)
    assert document["drop"] == pytest.approx(0.0001)
    assert document["max_drop"] == 0.005
    (moved,) = document["moved"]
    assert document["int8"]["quantized"] == 1
    assert list(document["int8"]["floats"]) == [moved["name"]]
    assert [one["floats"] for one in document["attempts"]] == [0, 1]


def test_what_moved_is_printed(metric: str) -> None:
    result = fwd(f"{metric}:second")
    assert result.code == ExitCode.OK, result.err
    assert "moved to float, the most sensitive first\n  SQNR" in result.out
    assert "metric: int8 with 1 layer in float\nsave: m.engine\n" in result.err


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("worse_in_int8", "error: int8 does not stay within the bound, whatever is kept in float"),
        ("fails", "error: the metric failed: ValueError: no labels\n  at {file}:13\n"),
        ("accurracy", "has no function 'accurracy'\n  expected: worse_in_int8, equal, second, f"),
    ],
)
def test_failures(metric: str, function: str, text: str) -> None:
    result = fwd(f"{metric}:{function}")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert text.format(file=Path(f"{metric}.py").resolve()) in result.err
    assert not Path("m.engine").exists()


def test_what_was_reached_is_told(metric: str) -> None:
    err = fwd(f"{metric}:worse_in_int8").err
    assert "expected: a drop of at most 0.005 from 0.9\n" in err
    assert "got:      a drop of 0.4 (0.5), int8\n" in err
    assert "int8 with 1 layer in float: 0.5, a drop of 0.4\n" in err


def test_a_module_that_is_not_there() -> None:
    result = fwd("no_such_module:accuracy")
    assert result.code == ExitCode.FAILED
    told = "error: module 'no_such_module' of --metric cannot be imported\n  ModuleNotFoundError: "
    assert told in result.err
    assert "Hint: run in its folder, or put that on PYTHONPATH\n" in result.err
    result = fwd("accuracy", "--json")
    assert result.code == ExitCode.USAGE
    assert "'accuracy' is not MODULE:FUNCTION" in result.json["error"]["what"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_fails(folder: Path, metric: str, line: str, reason: str) -> None:
    Path(f"{metric}.py").write_text(f"import math\n\n{line}\n")
    err = fwd(f"{metric}:accuracy").err
    assert f"of --metric cannot be imported\n  at {Path(f'{metric}.py').resolve()}:3\n" in err
    assert reason in err
    assert "PYTHONPATH" not in err  # it was found


def test_drops() -> None:
    assert (drop_of("0.5%"), drop_of("0.005"), drop_of("0")) == (0.005, 0.005, 0)
    for wrong in ("half", "-1%", "inf", "nan", "%"):
        result = fwd("m:f", "--max-drop", wrong, "--json")
        assert result.code == ExitCode.USAGE
        assert f"{wrong!r} is no drop, such as 0.5% or 0.005" in result.json["error"]["what"]
