"""``fwd bench --modes``: modes beside each other on OpenVINO, and what is advised."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from toy_program import Pack, Result, model
from toy_program import fwd as program

from fwd_core import Plugins, core_pack
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.cli.advice import choose
from fwd_core.cli.codes import ExitCode
from fwd_core.cli.compare import Runs

BENCH = ["bench", "model.layers", "-i", "2x4", "--iterations", "6", "--warmup", "1"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["linear", 6], ["relu"], ["linear", 3]])
    np.save("x.npy", np.random.default_rng(5).random((8, 4), np.float32))
    return tmp_path


def fwd(*arguments: object) -> Result:
    return program(*arguments, packs=Plugins({"core": core_pack, "files": Pack()}))


def test_json() -> None:
    calibrate = ["--calibrate", "x.npy", "--algorithm", "minmax"]
    result = fwd(*BENCH, "--modes", "float32,int8", *calibrate, "--json")
    assert result.code == ExitCode.OK, result.err
    document = result.json
    rows = document.pop("modes")
    choice, words = document.pop("choice"), document.pop("advice")
    assert document == {
        "model": "model.layers",
        "backend": "openvino",
        "shapes": {"x": "float32[2, 4]"},
        "made": [],
        "timed_on": "the first batch of x.npy",
        "data": "x.npy",
        "threads": 1,
        "min_sqnr": 20,
    }
    exact, small = rows
    assert (exact["mode"], exact["compute"], exact["sqnr"]) == ("float32", "float32", None)
    assert exact["cosine"] == pytest.approx(1)
    assert small["mode"] == "int8"
    assert 25 < small["sqnr"] < 60
    assert 0.99 < small["cosine"] < 1
    assert (small["products"], small["quantized"]) == (2, 2)
    for row in rows:
        assert row["iterations"] == 6
        assert 0 < row["latency_ms"]["median"] <= row["latency_ms"]["p99"]
        assert row["bytes"] > 100
    faster = min(rows, key=lambda row: row["latency_ms"]["median"])
    assert choice == faster["mode"]
    assert words[0].startswith(f"choose {choice}: the fastest with 20 dB or more")


def test_text() -> None:
    result = fwd(*BENCH, "--modes", "float32,int8", "--min-sqnr", "99")
    assert result.code == ExitCode.OK, result.err
    lines = result.out.splitlines()
    assert lines[:4] == [
        "model.layers: openvino",
        "  inputs       x float32[2, 4]",
        "  timed on     random values",
        "  compared on  random",
    ]
    assert lines[4].split() == ["mode", "computes", "in", "median", "p99", "size", "SQNR", "cosine"]
    assert lines[5].split()[:2] == ["float32", "float32"]
    assert lines[5].split()[-2:] == ["exact", "1.000000"]
    assert lines[6].split()[0] == "int8"
    assert lines[7].startswith("choose float32: the fastest with 99 dB or more")
    assert any(line.startswith("int8 has ") and "less than 99 dB: " in line for line in lines)
    assert lines[-1].startswith("the data is made up, so SQNR says little of yours")
    assert "compare: with float32, random\n" in result.err


def test_a_mode_that_is_refused_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = OpenVINOBackend._machine

    def without_half(self: OpenVINOBackend) -> Any:
        found = dict(machine(self))
        kept = [one for one in found["capabilities"] if one not in ("FP16", "BF16")]
        return {**found, "capabilities": kept}

    monkeypatch.setattr(OpenVINOBackend, "_machine", without_half)
    result = fwd(*BENCH, "--modes", "float32,float16")
    assert result.code == ExitCode.OK, result.err
    assert "  float16: not here: this CPU has no instructions for half precision" in result.out
    row = fwd(*BENCH, "--modes", "float16", "--json").json["modes"][0]
    assert list(row) == ["mode", "reason"]
    result = fwd(*BENCH, "--modes", "float16")
    assert result.out.endswith("no mode of these can be built here\n")


def test_dynamic_sizes_and_values_of_files() -> None:
    np.save("three.npy", np.ones((3, 4), np.float32))
    arguments = ["-i", "x=n[1,3,4]x4", "--iterations", "3", "--modes", "int8", "--json"]
    shapes = fwd("bench", "model.layers", *arguments).json["shapes"]
    assert shapes == {"x": "float32[3, 4]"}
    shapes = fwd("bench", "model.layers", *arguments, "--batch", "4").json["shapes"]
    assert shapes == {"x": "float32[4, 4]"}
    fixed = ["-i", "@three.npy", *arguments[2:]]
    assert fwd("bench", "model.layers", *fixed).json["shapes"] == {"x": "float32[3, 4]"}


def test_engines_are_timed_on_the_data() -> None:
    modes = ["--iterations", "3", "--modes", "float32,int8", "--calibrate", "x.npy"]
    result = fwd(*BENCH, *modes)
    assert "  timed on     the first batch of x.npy\n  compared on  x.npy\n" in result.out
    np.save("four.npy", np.ones((4, 4), np.float32))
    result = fwd("bench", "model.layers", "-i", "@four.npy", *modes)
    assert "  timed on     values of --input\n" in result.out, result.err
    dynamic = ["bench", "model.layers", "-i", "x=n[1,3,8]x4", *modes, "--json"]
    document = fwd(*dynamic).json
    told = "random values; the first batch of x.npy has other shapes: x [8, 4]"
    assert (document["timed_on"], document["shapes"]) == (told, {"x": "float32[3, 4]"})
    document = fwd(*dynamic, "--batch", "8").json
    told = "the first batch of x.npy"
    assert (document["timed_on"], document["shapes"]) == (told, {"x": "float32[8, 4]"})


def test_scales_and_caches() -> None:
    Path("m.scales").write_text("x:1.0\nlayer1.relu:0.1\n")
    row = fwd(*BENCH, "--modes", "int8", "--scales", "m.scales", "--json").json["modes"][0]
    assert row["sqnr"] < 1, "a range that cuts nearly everything off"
    result = fwd(*BENCH, "--modes", "int8", "--cache", "none.cache")
    assert "error: there is no calibration cache none.cache\n  Hint: --calibrate DATA" in result.err
    assert not Path("none.cache").exists(), "random ranges are not kept"


MISSING = (
    "--modes is missing, which {} needs: model.layers is a model, and --modes builds it in each of "
    "its modes to measure that; or build it with `fwd build`, and measure the engine"
)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--calibrate", "x.npy"], MISSING.format("--calibrate")),
        (["--min-sqnr", "3"], MISSING.format("--min-sqnr")),
        (["--option", "threads=1"], MISSING.format("--option")),
        (["--backend", "openvino"], MISSING.format("--backend")),
        (["--modes", "float32", "--cache", "c"], "--cache: int8 is not among --modes"),
        (["--modes", "int8", "--layers"], "--layers: it is for engine files"),
        (["--modes", "int8", "--rebuild"], "--rebuild: it is for engine files"),
        (["--modes", "float32,int4"], "--modes: there is no mode 'int4'"),
        (["--modes", "int8_calib"], "--modes: int8_calib calibrates and computes in float32"),
    ],
)
def test_options_that_mean_nothing(arguments: list[str], text: str) -> None:
    result = fwd(*BENCH, *arguments, "--json")
    assert result.code == ExitCode.USAGE
    assert text in result.json["error"]["what"]
    missing = text.startswith("--modes is missing")
    assert result.json["error"]["what"].startswith("--modes" if missing else "Invalid value for")


@pytest.mark.parametrize(
    "arguments", [["--calibrate", "x.npy"], ["--min-sqnr", "3"], ["--backend", "openvino"]]
)
def test_options_that_mean_nothing_for_an_engine(arguments: list[str]) -> None:
    assert fwd("build", "model.layers", "-i", "x=2x4", "-o", "m.engine").code == ExitCode.OK
    result = fwd("bench", "m.engine", *arguments, "--json")
    assert result.code == ExitCode.USAGE
    told = f"{arguments[0]}: an engine is built already: only --modes needs it, which takes a "
    assert told in result.json["error"]["what"]
    result = fwd("bench", "none.engine", *arguments, "--json")
    assert result.json["error"]["what"] == "there is no file none.engine"


def test_an_engine_has_no_modes() -> None:
    assert fwd("build", "model.layers", "-i", "x=2x4", "-o", "m.engine").code == ExitCode.OK
    for more in ([], ["--layers"]):
        result = fwd("bench", "m.engine", "--modes", "float32,int8", *more)
        assert (result.code, result.err) == (
            ExitCode.FAILED,
            "error: m.engine is an engine, which is built already\n  expected: a model\n"
            "  Hint: leave --modes out to measure this engine, or give the model\n",
        )
    result = fwd("bench", "none.layers", "--modes", "float32")
    assert result.code != ExitCode.OK
    assert "is built already" not in result.err


def test_rounds_make_all_runs() -> None:
    runs = Runs(3.0, 7, 0, 1, None)
    assert [runs.of_round(index)[0] for index in range(3)] == [3, 2, 2]
    assert Runs(3.0, None, 0, 1, None).of_round(0) == (None, 1.0)


def _row(mode: str, median: float, sqnr: float) -> dict[str, Any]:
    return {"mode": mode, "latency_ms": {"median": median}, "sqnr": sqnr}


EXACT = _row("float32", 4.0, math.inf)


@pytest.mark.parametrize(
    ("rows", "choice", "words"),
    [
        (
            [EXACT, _row("float16", 2.0, 50.0), _row("int8", 1.0, 30.0)],
            "int8",
            [
                "choose int8: the fastest with 20 dB or more (4.00 x as fast as float32, 2.00 x as "
                "fast as float16, 30.0 dB)"
            ],
        ),
        (
            [EXACT, _row("float16", 2.0, 50.0), _row("int8", 2.5, 30.0)],
            "float16",
            [
                "choose float16: the fastest with 20 dB or more (2.00 x as fast as float32, 1.25 x "
                "as fast as int8, 50.0 dB)",
                "int8 (2.500 ms) is not faster than float16 (2.000 ms) here: it gains nothing in "
                "speed",
            ],
        ),
        (
            [EXACT, _row("int8", 1.0, 12.0)],
            "float32",
            [
                "choose float32: the fastest with 20 dB or more",
                "int8 has 12.0 dB, less than 20 dB: `fwd inspect --sensitivity` lists the layers "
                "that lose most, and `fwd quantize` keeps them in float",
            ],
        ),
        (
            [_row("float16", 1.0, -math.inf)],
            None,
            [
                "no mode of these has 20 dB: choose float32",
                "float16 has nothing in common with float32, less than 20 dB: its numbers are too "
                "coarse or too small for this model",
            ],
        ),
        ([EXACT], "float32", ["choose float32: nothing else was measured"]),
        ([{"mode": "int8", "reason": "no"}], None, ["no mode of these can be built here"]),
    ],
)
def test_advice(rows: list[dict[str, Any]], choice: str | None, words: list[str]) -> None:
    assert choose(rows, 20.0, "data") == (choice, words)


def test_data_that_does_not_fit_beside_a_cache() -> None:
    calibrated = ["--calibrate", "x.npy", "--cache", "m.cache"]
    assert fwd(*BENCH, "--modes", "float32,int8", *calibrated).code == ExitCode.OK
    np.save("wide.npy", np.ones((4, 5), np.float32))
    wide = ["--calibrate", "wide.npy", "--cache", "m.cache"]
    result = fwd(*BENCH, "--modes", "float32,int8", *wide)
    assert result.code == ExitCode.FAILED
    assert "is wrong\n  at batch 0 (the first is 0): wide.npy, rows 0 … 1\n" in result.err
