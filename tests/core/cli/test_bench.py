"""``fwd bench``, with whole outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_program import fwd, model, plugins
from toy_sums import SumsPack

from fwd_core.cli.codes import ExitCode


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["relu"]])
    built = fwd("build", "model.layers", "-i", "4x4", "--opt-batch", "2", "-o", "m.engine")
    assert built.code == ExitCode.OK
    assert fwd("build", "model.layers", "-i", "1x4", "-o", "fixed.engine").code == ExitCode.OK
    return tmp_path


def test_text() -> None:
    result = fwd("bench", "m.engine", "--iterations", "40")
    assert result.code == ExitCode.OK
    assert result.out == (
        "m.engine: toy float32\n"
        "  inputs      x float32[2, 4]\n"
        "  compute     float32\n"
        "  runs        40 in T s, 1 thread\n"
        "  latency     median T ms, p90 T ms, p99 T ms\n"
        "  throughput  N runs/s\n"
    )
    assert result.err == "warm-up\nmeasure\n"


def test_json() -> None:
    result = fwd("bench", "m.engine", "--iterations", "40", "--threads", "2", "--json")
    document = result.json
    latency = document.pop("latency_ms")
    assert list(latency) == ["median", "p90", "p99", "min", "max"]
    assert 0 < latency["min"] <= latency["median"] <= latency["p90"] <= latency["p99"]
    assert latency["p99"] <= latency["max"]
    assert document.pop("runs_per_second") == pytest.approx(40 / document.pop("seconds"))
    assert document.pop("in_flight") in (1, 2)
    port = {"name": "x", "dtype": "float32", "shape": ["batch", 4]}
    assert document == {
        "engine": "m.engine",
        "backend": "toy",
        "mode": "float32",
        "compute": "float32",
        "inputs": [port],
        "outputs": [port | {"name": "y"}],
        "shapes": {"x": "float32[2, 4]"},
        "made": [],
        "threads": 2,
        "warmup": 5,
        "iterations": 40,
    }


def test_inputs_that_the_engine_makes_are_told() -> None:
    packs = plugins(sums=SumsPack())
    built = ["model.layers", "-i", "4x3", "--option", "with_sums=true"]
    assert fwd("build", *built, "-o", "sums.engine", packs=packs).code == ExitCode.OK
    np.save("x.npy", np.eye(4, 3, dtype=np.float32))
    arguments = ["bench", "sums.engine", "-i", "x=@x.npy", "--iterations", "2"]
    text = fwd(*arguments, packs=packs).out
    assert "  inputs      x float32[4, 3]\n" in text
    assert "  made        sums float32[4, 1] of x (25 % not 0)\n" in text
    read = {"x": {"elements": 12, "not_0": 3}}
    assert fwd(*arguments, "--json", packs=packs).json["made"] == [
        {"maker": "toy.sums", "reads": read, "gives": {"sums": "float32[4, 1]"}}
    ]
    arguments = ["bench", *built[:1], "-i", "x=@x.npy", *built[3:], "--modes", "float32"]
    text = fwd(*arguments, "--iterations", "3", packs=packs).out
    assert "  made         sums float32[4, 1] of x (25 % not 0)\n" in text
    assert "  timed on     values of --input\n" in text
    np.save("data.npy", np.eye(8, 3, dtype=np.float32)[::-1])  # 4 rows of 0 are the first batch
    arguments += ["--iterations", "3", "--calibrate", "data.npy"]
    text = fwd(*arguments, packs=packs).out
    assert "sums float32[4, 1] of x (25 % not 0)\n  timed on     values of --input\n" in text
    arguments[arguments.index("x=@x.npy")] = "x=4x3"
    text = fwd(*arguments, packs=packs).out
    assert "of x (0 % not 0)\n  timed on     the first batch of data.npy\n" in text


def test_seconds_in_place_of_iterations() -> None:
    document = fwd("bench", "m.engine", "--seconds", "0.2", "--warmup", "0", "--json").json
    assert 0.2 <= document["seconds"] < 2
    assert document["iterations"] > 10
    assert document["warmup"] == 0
    document = fwd("bench", "m.engine", "--seconds", "0", "--json").json
    assert document["iterations"] == 1, "one run at least"


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        (["--batch", "3"], "float32[3, 4]"),
        (["-i", "1x4"], "float32[1, 4]"),
        (["-i", "x=4x4:float32"], "float32[4, 4]"),
        (["-i", "@x.npy"], "float32[3, 4]"),
        (["-i", "@x.npy", "--batch", "3"], "float32[3, 4]"),
    ],
)
def test_sizes(arguments: list[str], shape: str) -> None:
    np.save("x.npy", np.ones((3, 4), np.float32))
    result = fwd("bench", "m.engine", "--iterations", "1", *arguments, "--json")
    assert result.code == ExitCode.OK, result.err
    assert result.json["shapes"] == {"x": shape}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["m.engine", "--batch", "5"],
            "error: the batch is out of range of x: float32[batch, 4]\n"
            "  expected: 1 … 4\n"
            "  got:      5\n"
            "  Hint: build again with a range that holds it\n",
        ),
        (
            ["fixed.engine", "--batch", "1"],
            "error: the batch of the engine is fixed: x: float32[1, 4]\n"
            "  Hint: build it with --dynamic-batch, or leave --batch out\n",
        ),
        (
            ["m.engine", "-i", "3x4", "--batch", "2"],
            "error: the batch of the given inputs differs\n  expected: 2\n  got:      3\n",
        ),
        (
            ["m.engine", "-i", "3x5"],
            "error: input 'x': the size of axis 1 of float32[batch, 4] is wrong\n"
            "  expected: 4\n  got:      5\n"
            "  Hint: build with dynamic= (NAME[MIN,OPT,MAX] in --input) if it changes from run to "
            "run\n",
        ),
        (
            ["m.engine", "-i", "z=3x4"],
            "error: the engine has no input 'z'\n  expected: x: float32[batch, 4]\n",
        ),
        (["missing.engine"], "error: there is no file missing.engine\n"),
    ],
)
def test_failures(arguments: list[str], text: str) -> None:
    result = fwd("bench", *arguments)
    assert (result.code, result.out, result.err) == (ExitCode.FAILED, "", text)


def test_layers_of_a_backend_that_does_not_tell() -> None:
    result = fwd("bench", "m.engine", "--layers")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err == (
        "layers\nerror: ToyExecutable does not tell the times of compiled layers\n"
        "  Hint: leave --layers out\n"
    )


def test_a_dtype_that_the_engine_refuses() -> None:
    result = fwd("bench", "m.engine", "-i", "2x4:float64")
    assert result.code == ExitCode.FAILED
    assert "error: input 'x' has the wrong dtype\n" in result.err


def test_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = fwd("bench", "m.engine", "--seconds", "1", "--iterations", "2")
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert "Invalid value for --seconds and --iterations: give one of them" in result.err
