"""``--option`` of ``fwd check`` and ``fwd inspect``: what options of packs do to a graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_program import Result, model, plugins
from toy_program import fwd as program
from toy_sums import SumsPack

from fwd_core.cli.codes import ExitCode
from fwd_core.ir import DType, Graph, TensorType, ops, save


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    model(tmp_path, [["relu"]])
    return tmp_path


def fwd(*arguments: object) -> Result:
    return program(*arguments, packs=plugins(sums=SumsPack()))


def test_check_looks_at_the_graph_that_comes_of_them() -> None:
    plain = fwd("check", "model.layers", "-i", "2x4", "--json").json
    changed = fwd("check", "model.layers", "-i", "2x4", "--option", "with_sums=true")
    assert changed.code == ExitCode.OK, changed.err
    assert changed.out == "PASSED model.layers: toy: 2 operators, 2 supported, 100 %\n"
    assert "rewrite: with_sums\n" in changed.err
    assert plain["operators"] == 1
    left = fwd("check", "model.layers", "-i", "2x4", "--option", "parallel=1", "--json")
    assert left.json == plain, "an option of the backend"


def test_check_tells_why_an_option_refuses_a_model() -> None:
    result = fwd("check", "model.layers", "-i", "4", "--option", "with_sums=true")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err.endswith("error: with_sums: the input has no rows\n  got:      float32[4]\n")


@pytest.mark.parametrize("model", ["model.layers", "none.layers"])
@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("with_sum=true", "backend 'toy' has no option 'with_sum'\n"),
        ("with_sums=7", "option 'with_sums'\n  expected: True or False\n  got:      '7'\n"),
        ("parallel=many", "option 'parallel' of backend 'toy'\n  expected: an integer\n"),
    ],
)
def test_check_refuses_options_before_it_reads_the_model(
    model: str, option: str, text: str
) -> None:
    result = fwd("check", model, "-i", "2x4", "--option", option)
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err.startswith(f"load: packs\nerror: {text}")


GRAPH = """\
inputs
  x  float32[2, 4]
outputs
  y  float32[2, 4]
made inputs
  sums  float32[2, 1]  of x
graph
graph {name}(%x: float32[2, 4], %sums: float32[2, 1]) {{
  %{relu} = Relu(%x) : float32[2, 4]
  %add = Add(%{relu}, %sums) : float32[2, 4]
  return y=%add
}}
operators
  1  Add
  1  Relu
"""


def test_inspect_shows_the_graph_that_comes_of_them() -> None:
    arguments = ["inspect", "model.layers", "-i", "2x4", "--option", "with_sums=true"]
    result = fwd(*arguments)
    assert result.code == ExitCode.OK, result.err
    assert result.out.endswith(GRAPH.format(name="model", relu="layer0.relu"))
    document = fwd(*arguments, "--json").json
    made = {"name": "sums", "dtype": "float32", "shape": [2, 1], "of": ["x"]}
    assert document["made"] == [made]
    assert [one["name"] for one in document["inputs"]] == ["x"]
    built = ["model.layers", "-i", "2x4", "--option", "with_sums=true", "-o", "m.engine"]
    assert fwd("build", *built).code == ExitCode.OK
    assert fwd("inspect", "m.engine", "--json").json["made"] == [made]


def test_inspect_changes_graph_files_too() -> None:
    graph = Graph("relu")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 4)))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    save(graph, "graph.fwd")
    result = fwd("inspect", "graph.fwd", "--option", "with_sums=true")
    assert result.code == ExitCode.OK, result.err
    assert result.out.endswith(GRAPH.format(name="relu", relu="relu"))


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            "parallel=1",
            "option 'parallel' is of backend 'toy', and the graph is the same for any\n"
            "  expected: with_sums\n"
            "  Hint: leave it out; `fwd check` and `fwd build` take it\n",
        ),
        (
            "with_sum=true",
            "no pack has an option 'with_sum'\n  expected: with_sums\n"
            "  Hint: did you mean 'with_sums'?\n",
        ),
        ("with_sums=7", "option 'with_sums'\n  expected: True or False\n  got:      '7'\n"),
    ],
)
def test_inspect_refuses_options_that_change_no_graph(option: str, text: str) -> None:
    result = fwd("inspect", "model.layers", "-i", "2x4", "--option", option)
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err == f"load: packs\nerror: {text}"


def test_inspect_says_where_an_option_has_no_place() -> None:
    assert fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine").code == ExitCode.OK
    result = fwd("inspect", "m.engine", "--option", "with_sums=true")
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert "--option: m.engine is built already" in result.err
    for more in (["--tensors"], ["--sensitivity", "--calibrate", "x.npy"]):
        result = fwd("inspect", "model.layers", "-i", "2x4", *more, "--option", "with_sums=true")
        assert (result.code, result.out) == (ExitCode.USAGE, "")
        told = "--option: names and ranges of int8 are of the model before options change it"
        assert told in result.err
