"""``fwd check``, with whole outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_program import fwd, model

from fwd_core.cli.codes import ExitCode


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["linear", 3], ["relu"]])
    model(tmp_path, [["swirl"], ["relu"], ["swirl"], ["twist"]], "unknown.layers")
    model(tmp_path, [["linear", 3], ["wave"], ["relu"], ["wave"]], "wave.layers")
    return tmp_path


def test_nothing_is_wrong() -> None:
    result = fwd("check", "model.layers", "-i", "2x4")
    assert result.code == ExitCode.OK
    # A matrix product with a transposed operand: the backend has no lowering of Linear itself.
    assert result.out == "PASSED model.layers: toy: 2 operators, 2 supported, 100 %\n"
    assert result.err == "load: packs\nimport: layers-file\nrewrite: clean-up\nrewrite: fusion\n"
    assert list(Path().glob("*.engine")) == []


def test_nothing_is_wrong_as_json() -> None:
    result = fwd("check", "model.layers", "-i", "2x4", "--json", "--dynamic-batch")
    assert result.code == ExitCode.OK
    assert result.json == {
        "model": "model.layers",
        "stage": "toy",
        "operators": 2,
        "supported": 2,
        "convertible": True,
        "problems": [],
    }


def test_operators_without_a_converter() -> None:
    result = fwd("check", "unknown.layers", "-i", "2x4")
    assert result.code == ExitCode.UNSUPPORTED
    assert result.out == (
        "toy::swirl (2x): no pack converts it\n"
        "  at layer0 (model.py:1 in forward)\n"
        "  at layer2 (model.py:3 in forward)\n"
        "  Hint: wait\n"
        "toy::twist (1x): no pack converts it\n"
        "  at layer3 (model.py:4 in forward)\n"
        "  Hint: wait\n"
        "FAILED unknown.layers: converting: 5 operators, 2 supported, 40 %\n"
    )
    assert result.err == "load: packs\nimport: layers-file\n"


def test_what_stops_the_import_is_a_problem_too() -> None:
    model(Path(), [["linear", 3], ["reshape"], ["swirl"]], "stops.layers")
    result = fwd("check", "stops.layers", "-i", "2x4")
    assert result.code == ExitCode.UNSUPPORTED
    assert result.out == (
        "reshape (1x): element counts differ; expected 6; got 7\n"
        "  at layer1 reshape (model.py:2 in forward)\n"
        "  Hint: give 6\n"
        "FAILED stops.layers: converting: 2 operators, 1 supported, 50 %\n"
    )
    problem = fwd("check", "stops.layers", "-i", "2x4", "--json").json["problems"][0]
    assert problem["operator"] == "reshape"
    assert problem["places"] == ["layer1 reshape (model.py:2 in forward)"]


def test_operators_without_a_lowering() -> None:
    result = fwd("check", "wave.layers", "-i", "2x4")
    assert result.code == ExitCode.UNSUPPORTED
    assert result.out == (
        "fwd.Tanh (2x): no lowering (of float32[2, 3])\n"
        "  at layer1 wave (model.py:2 in forward)\n"
        "  at layer3 wave (model.py:4 in forward)\n"
        "FAILED wave.layers: toy: 4 operators, 2 supported, 50 %\n"
    )


def test_operators_that_a_lowering_refuses() -> None:
    model(Path(), [["relu"]], "integers.layers")
    result = fwd("check", "integers.layers", "-i", "4:int32", "--json")
    assert result.code == ExitCode.OK, "Relu takes integers"
    result = fwd("check", "wave.layers", "-i", "2x4", "--json")
    assert result.code == ExitCode.UNSUPPORTED
    document = result.json
    assert (document["convertible"], document["operators"], document["supported"]) == (False, 4, 2)
    assert document["problems"] == [
        {
            "operator": "fwd.Tanh",
            "reason": "no lowering (of float32[2, 3])",
            "count": 2,
            "places": [
                "layer1 wave (model.py:2 in forward)",
                "layer3 wave (model.py:4 in forward)",
            ],
            "hint": "",
        }
    ]


def test_other_failures_are_errors() -> None:
    result = fwd("check", "model.txt", "-i", "2x4")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err.startswith("load: packs\nerror: no importer takes model.txt\n")
    result = fwd("check", "model.layers", "-i", "2x4", "--backend", "absent")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert "error: backend 'absent' cannot build here\n" in result.err
