"""``fwd run``, with whole outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_program import fwd, model, plugins

from fwd_core import Builder, files
from fwd_core.cli.arrays import write_arrays
from fwd_core.cli.codes import ExitCode
from fwd_core.ir import DType, Graph, TensorType, ops, symbol

X = np.array([[1.0, -2.0, 3.0, 0.5]], np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["relu"]])
    np.save("x.npy", X)
    assert fwd("build", "model.layers", "-i", "x=1x4", "-o", "m.engine").code == ExitCode.OK
    return tmp_path


def _two() -> None:
    """An engine with two inputs and three outputs, of which one is an input."""
    batch = symbol("batch", 1, 2, 4)
    graph = Graph("two")
    ids = graph.add_input("ids", TensorType(DType.INT64, (batch,)))
    x = graph.add_input("x.data", TensorType(DType.FLOAT32, (batch, 2)))
    half = graph.add_input("half", TensorType(DType.BFLOAT16, (2,)))
    graph.set_outputs([graph.add(ops.Relu(x)), ids, half], ["y", "file", "z"])
    Builder(backend="toy", plugins=plugins()).compile(graph).save("two.engine")


def test_summary() -> None:
    result = fwd("run", "m.engine", "--input", "x=@x.npy")
    assert (result.code, result.err) == (ExitCode.OK, "")
    assert result.out == (
        "output  type           min  max  mean   note\n"  #
        "y       float32[1, 4]  0    3    1.125\n"
    )


def test_by_position_and_as_json() -> None:
    result = fwd("run", "m.engine", "-i", "@x.npy", "--json")
    document = result.json
    assert document.pop("seconds") > 0
    assert document == {
        "engine": "m.engine",
        "output": None,
        "outputs": [
            {
                "name": "y",
                "dtype": "float32",
                "shape": [1, 4],
                "min": 0.0,
                "max": 3.0,
                "mean": 1.125,
                "nan": 0,
                "inf": 0,
            }
        ],
    }


def test_what_is_not_finite_is_counted() -> None:
    np.save("x.npy", np.array([[np.nan, np.inf, 2.0, np.nan]], np.float32))
    result = fwd("run", "m.engine", "-i", "@x.npy")
    assert result.out.splitlines()[1] == "y       float32[1, 4]  2    2    2     2 nan, 1 inf"
    np.save("x.npy", np.full((1, 4), np.nan, np.float32))
    result = fwd("run", "m.engine", "-i", "@x.npy")
    assert result.out.splitlines()[1] == "y       float32[1, 4]  -    -    -     4 nan"
    (found,) = fwd("run", "m.engine", "-i", "@x.npy", "--json").json["outputs"]
    assert (found["min"], found["max"], found["mean"]) == (None, None, None)


def test_outputs_are_written_by_name() -> None:
    _two()
    ids, x = np.array([5, 2**40]), np.array([[1, -1], [2, -2]], np.float32)
    half = np.array([1.00390625, 3.0], np.float32)
    write_arrays("inputs.npz", {"ids": ids, "x.data": x, "half": half})
    result = fwd("run", "two.engine", "-i", "@inputs.npz", "-o", "out.npz")
    assert result.code == ExitCode.OK, result.err
    assert result.out == "wrote out.npz: y float32[2, 2], file int64[2], z float32[2]\n"
    with np.load("out.npz") as outputs:
        assert list(outputs) == ["y", "file", "z"], "also names that NumPy's own savez takes"
        np.testing.assert_array_equal(outputs["y"], [[1, 0], [2, 0]], strict=False)
        np.testing.assert_array_equal(outputs["file"], ids)
        np.testing.assert_array_equal(outputs["z"], np.array([1.0, 3.0], np.float32))


def test_one_output_is_written_alone() -> None:
    result = fwd("run", "m.engine", "-i", "@x.npy", "-o", "y.npy", "--json")
    assert result.json["output"] == "y.npy"
    np.testing.assert_array_equal(np.load("y.npy"), np.maximum(X, 0))


def test_arrays_without_names_are_inputs_by_position() -> None:
    np.savez("inputs.npz", X)
    assert fwd("run", "m.engine", "-i", "@inputs.npz", "-o", "y.npy").code == ExitCode.OK
    np.testing.assert_array_equal(np.load("y.npy"), np.maximum(X, 0))


def test_an_engine_of_another_machine_is_rebuilt_when_asked_for() -> None:
    build = ["build", "model.layers", "-i", "1x4", "--option", "device=there", "-o"]
    assert fwd(*build, "there.engine", "--embed-graph").code == ExitCode.OK
    result = fwd("run", "there.engine", "-i", "@x.npy")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err == (
        "error: the plan was made for another device\n"
        "  at there.engine\n"
        "  expected: here\n"
        "  got:      there\n"
    )
    result = fwd("run", "there.engine", "-i", "@x.npy", "--rebuild")
    assert result.code == ExitCode.OK, result.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.engine"], "error: there is no file missing.engine\n"),
        (
            ["m.engine", "-i", "@x.npy", "-o", "./x.npy"],
            "error: cannot write ./x.npy: it is what is read here\n"
            "  Hint: choose another name for --output\n",
        ),
        (
            ["m.engine"],
            "error: inputs by name: missing 'x'\n"
            "  expected: x: float32[1, 4]\n"
            "  got:      nothing\n"
            "  Hint: give its inputs, as in --input @x.npy\n",
        ),
        (
            ["m.engine", "-i", "z=@x.npy"],
            "error: inputs by name: missing 'x'; unknown 'z'\n"
            "  expected: x: float32[1, 4]\n"
            "  got:      z\n",
        ),
        (
            ["m.engine", "-i", "@x.npy", "-i", "@x.npy"],
            "error: wrong number of inputs\n  expected: 1: x: float32[1, 4]\n  got:      2\n",
        ),
        (
            ["m.engine", "-i", "@wide.npy"],
            "error: input 'x': the size of axis 1 of float32[1, 4] is wrong\n"
            "  expected: 4\n"
            "  got:      5\n"
            "  Hint: build with dynamic= (NAME[MIN,OPT,MAX] in --input) if it changes from run to "
            "run\n",
        ),
        (
            ["m.engine", "-i", "@double.npy"],
            "error: input 'x' has the wrong dtype\n"
            "  expected: float32[1, 4]\n"
            "  got:      float64[1, 4]\n"
            "  Hint: convert it: array.astype('float32')\n",
        ),
        (
            ["model.layers", "-i", "@x.npy"],
            "error: model.layers is not a file that Forward wrote, or it is damaged\n"
            "  Error while deserializing header: header too large\n"
            "  Hint: make it again, or copy it again\n",
        ),
    ],
)
def test_failures(arguments: list[str], text: str) -> None:
    np.save("wide.npy", np.ones((1, 5), np.float32))
    np.save("double.npy", np.ones((1, 4)))
    result = fwd("run", *arguments)
    assert (result.code, result.out, result.err) == (ExitCode.FAILED, "", text)


def test_a_file_that_was_altered() -> None:
    path = Path("m.engine")
    held = bytearray(path.read_bytes())
    held[-1] ^= 1
    path.write_bytes(held)
    result = fwd("run", "m.engine", "-i", "@x.npy")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err.startswith("error: m.engine was altered or damaged: its SHA-256 does not fit")
    path.write_bytes(held[:-100])
    result = fwd("run", "m.engine", "-i", "@x.npy")
    assert result.err == (
        "error: m.engine is truncated\n"
        "  expected: SIZE\n  got:      SIZE\n"
        "  Hint: make it again, or copy it again\n"
    ).replace("SIZE", "{}").format(f"{len(held)} bytes", f"{len(held) - 100} bytes")


def test_a_file_of_another_version() -> None:
    document, tensors = files.read("m.engine", format="forward-engine", version=1)
    del document["format"], document["version"]
    files.write("m.engine", document, tensors, format="forward-engine", version=99)
    result = fwd("run", "m.engine", "-i", "@x.npy")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err == (
        "error: m.engine has another version of forward-engine\n"
        "  expected: version 1\n"
        "  got:      version 99\n"
        "  Hint: make it again with this version of Forward\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["m.engine", "-i", "1x4"], "'1x4' is no file of values; `fwd bench` makes values up"),
        (["m.engine", "-i", "@x.npy", "-o", "y.txt"], "y.txt is no .npz or .npy file"),
        (["two.engine", "-i", "@x.npy", "-o", "y.npy"], "the engine has 3 outputs, and a .npy"),
    ],
)
def test_usage(arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _two()
    result = fwd("run", *arguments)
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert text in result.err
