"""Building in int8 from the command line, on OpenVINO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from machine import beside_int8
from toy_program import Pack, Result, model
from toy_program import fwd as program

from fwd_core import Plugins, core_pack
from fwd_core.cli.codes import ExitCode
from fwd_core.quantize import CalibrationCache

LAYERS: list[list[object]] = [["linear", 6], ["relu"], ["linear", 3]]
BUILD = ["build", "model.layers", "-i", "2x4", "-o", "m.engine"]
NUMBERS = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, LAYERS)
    np.save("x.npy", _x(8))
    return tmp_path


def _x(rows: int) -> Any:
    return NUMBERS.random((rows, 4), np.float32)


def fwd(*arguments: object) -> Result:
    return program(*arguments, packs=Plugins({"core": core_pack, "files": Pack()}))


def test_from_data_to_an_engine_in_int8() -> None:
    result = fwd(*BUILD, "--mode", "int8", "--calibrate", "x.npy")
    assert result.code == ExitCode.OK, result.err
    head, *rest = result.out.splitlines()
    assert head.startswith("built m.engine: openvino int8 (int8, ")
    assert rest == ["int8: 2 of 2 products"]
    assert "\ncalibrate: mse\n" in result.err
    np.save("one.npy", x := _x(2))
    assert fwd("run", "m.engine", "--input", "@one.npy", "-o", "y.npy").code == ExitCode.OK
    first, last = (np.arange(24.0).reshape(6, 4), np.arange(18.0).reshape(3, 6))
    exact = np.maximum(x @ first.T, 0) @ last.T
    assert np.abs(np.load("y.npy") / exact - 1).max() < 0.05
    assert not np.array_equal(np.load("y.npy"), exact.astype(np.float32))


def test_as_json() -> None:
    result = fwd(*BUILD, "--mode", "int8", "--calibrate", "x.npy", "--skip", "layer2", "--json")
    document = result.json
    assert document["mode"] == "int8"
    assert document["int8"] == {
        "products": 2,
        "quantized": 1,
        "attention": 0,
        "floats": {"layer2.linear": "kept in float by 'layer2'"},
    }
    assert document["phases"]["calibrate"] > 0


def test_a_model_that_was_trained_with_quantization_needs_no_data() -> None:
    model(Path(), [["fake", 0.01], ["linear", 6], ["fake", 0.5], ["linear", 3]])
    result = fwd(*BUILD, "--mode", "int8")
    assert result.code == ExitCode.OK, result.err
    compute = f"int8, {beside_int8()}"
    assert result.out == f"built m.engine: openvino int8 ({compute}), SIZE, T s\n"
    document = fwd(*BUILD, "--mode", "int8", "--json").json
    assert document["compute"] == compute
    assert "int8" not in document, "nothing was placed"


def test_other_models_need_data() -> None:
    result = fwd(*BUILD, "--mode", "int8")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    _, error, text = result.err.partition("error: ")
    assert error + text == (
        "error: this model was not trained with quantization, so mode int8 needs data\n"
        "  expected: a .npy or .npz file or a folder of them, a cache, or scales\n"
        "  Hint: --calibrate DATA; or --cache FILE, or --scales FILE\n"
    )


def test_products_of_attention() -> None:
    model(Path(), [["linear", 6], ["attention"], ["linear", 3]])
    calibrate = ["--mode", "int8", "--calibrate", "x.npy"]
    result = fwd(*BUILD, *calibrate)
    assert result.out.splitlines()[1:] == [
        "int8: 2 of 2 products, and 2 products of attention in float"
    ]
    assert fwd(*BUILD, *calibrate, "--json").json["int8"]["attention"] == 2
    result = fwd(*BUILD, *calibrate, "--attention")
    assert result.out.splitlines()[1:] == ["int8: 4 of 4 products"]


def test_what_stays_in_float_is_told() -> None:
    result = fwd(*BUILD, "--mode", "int8", "--calibrate", "x.npy", "--skip", "layer2.*")
    assert result.code == ExitCode.OK, result.err
    assert result.out.splitlines()[1:] == [
        "int8: 1 of 2 products",
        "in float",
        "  layer2.linear  kept in float by 'layer2.*'",
    ]


def test_a_cache_is_written_and_then_used() -> None:
    calibrate = ["--calibrate", "x.npy", "--algorithm", "minmax", "--cache", "m.cache"]
    result = fwd(*BUILD, "--mode", "int8_calib", *calibrate)
    assert result.code == ExitCode.OK, result.err
    head, line = result.out.splitlines()
    assert head.startswith("built m.engine: openvino int8_calib (float32)")
    assert line == "m.cache: TRT-8600-MinMaxCalibration, 2 tensors"
    cache = CalibrationCache.load("m.cache")
    assert list(cache) == ["x", "layer1.relu"]
    assert cache["x"] == pytest.approx(np.load("x.npy").max(), rel=1e-3)
    assert fwd(*BUILD, "--mode", "int8", "--cache", "m.cache").code == ExitCode.OK
    result = fwd(*BUILD, "--mode", "int8", *calibrate)
    assert result.code == ExitCode.OK, result.err
    assert result.err.startswith(
        "m.cache is there and is used: delete it to calibrate with x.npy\n"
    )
    assert "calibrate:" not in result.err


def test_a_cache_that_does_not_tell_its_algorithm_is_told() -> None:
    CalibrationCache({"x": 1.0, "layer1.relu": 70.0}, "mse").save("m.cache")
    taken = [*BUILD, "--mode", "int8", "--cache", "m.cache"]
    result = fwd(*taken, "--algorithm", "entropy_2")
    assert result.code == ExitCode.OK, result.err
    assert result.err.startswith(
        "m.cache is taken as one of entropy_2: caches of entropy_2, mse and percentile begin with "
        "the same word, so one of another of these would not be noticed\n"
    )
    assert "is taken as" not in fwd(*taken).err
    result = fwd(*taken, "--algorithm", "minmax")
    assert result.code == ExitCode.FAILED
    assert result.err.startswith("error: m.cache was calibrated by another algorithm\n")


def test_scales_that_are_set_by_hand() -> None:
    Path("m.scales").write_text("x:1.0\nlayer1.relu:70.0\n")
    result = fwd(*BUILD, "--mode", "int8", "--scales", "m.scales")
    assert result.code == ExitCode.OK, result.err
    assert result.out.splitlines()[1] == "int8: 2 of 2 products"


def test_forms_of_data() -> None:
    """One file of many rows, a folder, files with names: all give the same ranges."""
    rows = np.load("x.npy")
    Path("folder").mkdir()
    for index in range(4):
        np.savez(f"folder/{index}.npz", x=rows[2 * index : 2 * index + 2])
    Path("folder/notes.txt").write_text("no data")
    np.savez("by_place.npz", rows)
    found = []
    for data in ("x.npy", "folder", "by_place.npz"):
        cache = f"{data}.cache"
        arguments = ["--calibrate", data, "--cache", cache]
        result = fwd(*BUILD, "--mode", "int8_calib", *arguments)
        assert result.code == ExitCode.OK, result.err
        found.append(Path(cache).read_text())
    assert found[0] == found[1] == found[2]


@pytest.mark.filterwarnings("always::fwd_core.errors.ForwardWarning")
def test_rows_that_fill_no_batch_are_told() -> None:
    np.save("odd.npy", _x(5))
    result = fwd(*BUILD, "--mode", "int8", "--calibrate", "odd.npy")
    assert result.code == ExitCode.OK
    assert (
        "warning: odd.npy: the last 1 of 5 rows fill no batch of 2 and are left out\n" in result.err
    )


def test_rows_of_a_dynamic_batch_are_all_used() -> None:
    np.save("odd.npy", np.concatenate([_x(8), np.full((1, 4), 9, np.float32)]))
    sizes = ["-i", "x=n[1,2,4]x4", "-o", "m.engine"]
    calibrate = ["--calibrate", "odd.npy", "--algorithm", "minmax", "--cache", "m.cache"]
    result = fwd("build", "model.layers", *sizes, "--mode", "int8", *calibrate)
    assert result.code == ExitCode.OK, result.err
    assert CalibrationCache.load("m.cache")["x"] == pytest.approx(9, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--calibrate", "x.npy"],
            "--calibrate: mode float32 computes in floats and needs no ranges; --mode int8 does",
        ),
        (["--mode", "float16", "--skip", "layer2"], "--skip: mode float16 computes in floats"),
        (
            ["--mode", "int8", "--skip", "layer2"],
            "--calibrate: mode int8 needs data: a .npy or .npz file or a",
        ),
        (["--mode", "int8", "--attention"], "--calibrate: mode int8 needs data"),
        (["--mode", "int8_calib"], "--cache: mode int8_calib writes a calibration cache"),
        (
            ["--mode", "int8", "--calibrate", "random"],
            "an engine that is calibrated with random data is of no use",
        ),
        (
            ["--mode", "int8_calib", "--calibrate", "x.npy"],
            "--cache: mode int8_calib writes a calibration cache: give the file to write",
        ),
        (
            ["--mode", "int8_calib", "--cache", "c", "--scales", "s"],
            "--scales: mode int8_calib calibrates, and scales are set by hand",
        ),
        (
            ["--mode", "int8", "--scales", "s", "--algorithm", "mse"],
            "--algorithm: --scales gives all ranges, so this would not be used",
        ),
    ],
)
def test_options_that_mean_nothing(arguments: list[str], text: str) -> None:
    result = fwd(*BUILD, *arguments, "--json")
    assert result.code == ExitCode.USAGE
    assert text in json.loads(result.raw)["error"]["what"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--calibrate", "nowhere"], "error: there is no file or folder nowhere\n"),
        (["--calibrate", "empty"], "error: there are no .npy or .npz files in empty\n"),
        (
            ["--cache", "none.cache"],
            "error: there is no calibration cache none.cache\n"
            "  Hint: --calibrate DATA to calibrate and write it; or name a cache that is there\n",
        ),
        (
            ["--calibrate", "named.npz"],
            "error: named.npz holds other arrays than the model has inputs\n"
            "  at batch 0 (the first is 0)\n  expected: x: float32[2, 4]\n  got:      z\n"
            "  Hint: write the arrays of the model's inputs alone, by their names: "
            "numpy.savez(file, NAME=array, …); a stream of text has inputs=[...] for that\n",
        ),
        (
            ["--calibrate", "more.npz"],
            "error: more.npz holds other arrays than the model has inputs\n"
            "  at batch 0 (the first is 0)\n  expected: x: float32[2, 4]\n  got:      x, z\n"
            "  Hint: write the arrays of the model's inputs alone",
        ),
        (
            ["--calibrate", "two.npz"],
            "error: two.npz holds another number of arrays than the model has inputs\n",
        ),
        (
            ["--calibrate", "wide.npy"],
            "error: input 'x': the size of axis 1 of float32[2, 4] is wrong\n"
            "  at batch 0 (the first is 0): wide.npy, rows 0 … 1\n",
        ),
        (
            ["--calibrate", "one.npy"],
            "error: input 'x' has the wrong rank\n  at batch 0 (the first is 0): one.npy\n"
            "  expected: float32[2, 4]\n  got:      rank 1, shape [4]\n"
            "  Hint: array[None] gives one sample the axis of a batch\n",
        ),
        (
            ["--calibrate", "nan"],
            "error: cannot collect the range of tensor 'x'\n"
            "  at batch 5 (the first is 0): nan/b.npy, rows 2 … 3\n",
        ),
        (
            ["--calibrate", "double.npy"],
            "error: input 'x' has the wrong dtype\n  at batch 0 (the first is 0): double.npy\n",
        ),
        (
            ["--calibrate", "x.npy", "--algorithm", "entropi"],
            "error: unknown calibration algorithm 'entropi'\n",
        ),
        (["--calibrate", "x.npy", "--skip", "nothing"], "skip: no node matches 'nothing'\n"),
        (["--calibrate", "x.npy", "--cache", "no/c"], "error: cannot write no/c: No such file"),
    ],
)
def test_data_that_does_not_fit(arguments: list[str], text: str) -> None:
    Path("empty").mkdir()
    np.savez("named.npz", z=_x(2))
    np.savez("more.npz", x=_x(2), z=_x(2))
    np.savez("two.npz", _x(2), _x(2))
    np.save("wide.npy", np.ones((4, 5), np.float32))
    np.save("double.npy", np.ones((2, 4)))
    np.save("one.npy", np.ones(4, np.float32))
    Path("nan").mkdir()
    np.save("nan/a.npy", _x(8))
    np.save("nan/b.npy", np.where(np.arange(8)[:, None] == 3, np.nan, _x(8)).astype(np.float32))
    result = fwd(*BUILD, "--mode", "int8", *arguments)
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert text in result.err


def test_check_does_not_take_the_mode() -> None:
    result = fwd("check", "model.layers", "-i", "2x4", "--mode", "int8", "--json")
    assert result.code == ExitCode.USAGE
    assert "what float32 converts, int8 does too" in result.json["error"]["what"]


INSPECT = ["inspect", "model.layers", "-i", "2x4"]


def test_tensors_that_need_ranges_are_those_of_the_cache() -> None:
    found = fwd(*INSPECT, "--tensors", "--json").json["tensors"]
    ranged = [one["name"] for one in found if one["range"]]
    assert ranged == ["x", "layer1.relu"]
    calibrate = ["--calibrate", "x.npy", "--cache", "m.cache"]
    assert fwd(*BUILD, "--mode", "int8_calib", *calibrate).code == ExitCode.OK
    assert list(CalibrationCache.load("m.cache")) == ranged


def _ranged(*arguments: str) -> list[str]:
    found = fwd(*INSPECT, "--tensors", *arguments, "--json").json["tensors"]
    return [one["name"] for one in found if one["range"]]


def test_tensors_that_need_ranges_beside_what_stays_in_float() -> None:
    assert _ranged("--skip", "layer2") == ["x"]
    model(Path(), [["linear", 6], ["attention"], ["linear", 3]])
    assert _ranged() == ["x", "layer1.attention"]
    attention = ["layer0.linear", "layer1.attention.weights", "layer1.attention"]
    assert _ranged("--attention") == ["x", *attention]
    assert _ranged("--attention", "--skip", "layer2") == ["x", *attention[:2]]
    result = fwd(*INSPECT, "--tensors", "--skip", "nothing")
    assert (result.code, "no node matches 'nothing'" in result.err) == (ExitCode.FAILED, True)


def test_sensitivity() -> None:
    measure = ["--sensitivity", "--calibrate", "x.npy"]
    result = fwd(*INSPECT, *measure)
    assert result.code == ExitCode.OK, result.err
    _, title, table = result.out.partition("sensitivity: signal to noise in int8, worst first\n")
    assert title
    header, *rows = table.splitlines()[:3]
    assert header.split() == ["SQNR", "layer", "operator", "module"]
    assert sorted(row.split()[2:] for row in rows) == [
        ["layer0.linear", "Linear", "layer0"],
        ["layer2.linear", "Linear", "layer2"],
    ]
    assert result.err.endswith("calibrate: mse\nsensitivity: 2 products\n")
    found = fwd(*INSPECT, *measure, "--json").json["sensitivity"]
    assert [f"{one['sqnr']:.1f}" for one in found] == [row.split()[0] for row in rows]
    assert found[0]["sqnr"] <= found[1]["sqnr"]
    only = fwd(*INSPECT, *measure, "--skip", "layer0", "--json").json["sensitivity"]
    assert [one["name"] for one in only] == ["layer2.linear"]
    none = fwd(*INSPECT, *measure, "--skip", "*")
    assert "sensitivity: no product would be in int8\n" in none.out


def test_sensitivity_with_scales_and_of_an_engine() -> None:
    Path("m.scales").write_text("x:1.0\nlayer1.relu:0.1\n")
    measure = ["--sensitivity", "--calibrate", "x.npy", "--scales", "m.scales"]
    found = fwd(*INSPECT, *measure, "--json").json["sensitivity"]
    assert found[0]["name"] == "layer2.linear"
    assert found[0]["sqnr"] < 1, "a range that cuts nearly everything off"
    assert fwd(*BUILD, "--embed-graph").code == ExitCode.OK
    again = fwd("inspect", "m.engine", *measure, "--json").json["sensitivity"]
    assert again == found
    assert fwd(*BUILD).code == ExitCode.OK
    result = fwd("inspect", "m.engine", *measure)
    assert result.code == ExitCode.FAILED
    assert result.err.startswith("error: m.engine holds no graph whose layers could be measured\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--sensitivity"], "--calibrate: --sensitivity needs data to run the model on"),
        (["--calibrate", "x.npy"], "--calibrate: only --sensitivity needs it"),
        (["--skip", "a"], "--skip: only --sensitivity and --tensors need it"),
        (["--attention"], "--attention: only --sensitivity and --tensors need it"),
        (["--tensors", "--cache", "c"], "--cache: only --sensitivity needs it"),
        (["--backend", "openvino"], "--backend: only --sensitivity and --fused need it"),
    ],
)
def test_options_of_inspecting_that_mean_nothing(arguments: list[str], text: str) -> None:
    result = fwd(*INSPECT, *arguments, "--json")
    assert result.code == ExitCode.USAGE
    assert text in result.json["error"]["what"]
