"""``fwd inspect``, with whole outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_ops import Twice
from toy_program import fwd, model

from fwd_core.cli.codes import ExitCode
from fwd_core.cli.contents import layer_rows, value_text
from fwd_core.ir import DType, Graph, TensorType, ops, save


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["linear", 3], ["relu"], ["relu"]])
    return tmp_path


def _build(*more: str) -> None:
    arguments = ["-i", "x=n[1,2,4]x4", "--option", "parallel=1", "-o", "m.engine", *more]
    assert fwd("build", "model.layers", *arguments).code == ExitCode.OK


ENGINE = """\
m.engine: engine, SIZE
  backend      toy float32
  forward      0.1.0
  needs packs  toy
  options      parallel=1, device=here
  toy          1.0
  device       here
  parallel     1
  graph        {graph}
inputs
  x  float32[n, 4]
outputs
  y  float32[n, 3]
dynamic sizes
  n  1 … 4, tuned for 2
"""


def test_an_engine() -> None:
    _build()
    result = fwd("inspect", "m.engine")
    assert (result.code, result.err) == (ExitCode.OK, "")
    assert result.out == ENGINE.format(graph="not kept")


def test_an_engine_with_its_graph() -> None:
    _build("--embed-graph")
    result = fwd("inspect", "m.engine")
    assert result.out == ENGINE.format(graph="model: 3 operators, 1 constant of SIZE") + (
        "operators\n"  #
        "  2  Relu\n"
        "  1  Linear\n"
    )
    result = fwd("inspect", "m.engine", "--tensors")
    assert result.out == ENGINE.format(graph="model: 3 operators, 1 constant of SIZE") + (
        "tensors\n"
        "  x              float32[n, 4]  int8 needs its range\n"
        "  layer0.linear  float32[n, 3]\n"
        "  layer1.relu    float32[n, 3]\n"
        "  layer2.relu    float32[n, 3]\n"
        "operators\n"
        "  2  Relu\n"
        "  1  Linear\n"
    )


def test_an_engine_as_json() -> None:
    _build("--embed-graph")
    document = fwd("inspect", "m.engine", "--json").json
    assert document["bytes"] == Path("m.engine").stat().st_size
    assert {key: document[key] for key in document if key != "bytes"} == {
        "file": "m.engine",
        "kind": "engine",
        "manifest": {
            "forward": "0.1.0",
            "backend": "toy",
            "mode": "float32",
            "options": {"parallel": 1, "device": "here"},
            "packs": ["toy"],
            "toy": "1.0",
            "device": "here",
            "parallel": 1,
        },
        "graph": {
            "name": "model",
            "operators": {"Relu": 2, "Linear": 1},
            "constants": 1,
            "constant_bytes": 48,
        },
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["n", 4]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["n", 3]}],
        "dims": {"n": {"min": 1, "opt": 2, "max": 4}},
        "made": [],
    }


MODEL = """\
model.layers: model, SIZE
  graph  model: 2 operators, 1 constant of SIZE
inputs
  x  float32[2, 2]
outputs
  y  float32[2, 3]
graph
graph model(%x: float32[2, 2]) {
  %layer0.linear.weight = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]] : float32[3, 2]
  %layer0.linear = Linear(%x, %layer0.linear.weight) : float32[2, 3]
  %layer1.wave = Tanh(%layer0.linear) : float32[2, 3]
  return y=%layer1.wave
}
operators
  1  Linear
  1  Tanh
"""


def test_a_model() -> None:
    model(Path(), [["linear", 3], ["wave"]])
    result = fwd("inspect", "model.layers", "-i", "2x2")
    assert (result.code, result.out) == (ExitCode.OK, MODEL)
    assert result.err == "load: packs\nimport: layers-file\nrewrite: clean-up\n"


def test_tensors_of_a_model_as_json() -> None:
    document = fwd("inspect", "model.layers", "-i", "2x2", "--json", "--tensors").json
    assert document["kind"] == "model"
    assert document["tensors"] == [
        {"name": "x", "dtype": "float32", "shape": [2, 2], "range": True},
        {"name": "layer0.linear", "dtype": "float32", "shape": [2, 3], "range": False},
        {"name": "layer1.relu", "dtype": "float32", "shape": [2, 3], "range": False},
        {"name": "layer2.relu", "dtype": "float32", "shape": [2, 3], "range": False},
    ]


def test_a_graph_with_a_graph_inside() -> None:
    body = Graph("body")
    body.set_outputs(
        [body.add(ops.Relu(body.add_input("x", TensorType(DType.INT32, (2,)))))], ["y"]
    )
    graph = Graph("outer")
    x = graph.add_input("x", TensorType(DType.INT32, (2,)))
    total = graph.add(ops.Add(x, graph.constant(np.array([1, 2], np.int32))))
    graph.set_outputs([graph.add(Twice(total, body))], ["y"])
    save(graph, "graph.fwd")
    result = fwd("inspect", "graph.fwd")
    assert (result.code, result.err) == (ExitCode.OK, "")
    assert result.out == (
        "graph.fwd: graph, SIZE\n"
        "  graph  outer: 3 operators, 1 constant of SIZE\n"
        "inputs\n"
        "  x  int32[2]\n"
        "outputs\n"
        "  y  int32[2]\n"
        "graph\n"
        "graph outer(%x: int32[2]) {\n"
        "  %constant = [1, 2] : int32[2]\n"
        "  %add = Add(%x, %constant) : int32[2]\n"
        "  %twice = toy.Twice(%add, body=body) : int32[2]\n"
        "    graph body(%x: int32[2]) {\n"
        "      %relu = Relu(%x) : int32[2]\n"
        "      return y=%relu\n"
        "    }\n"
        "  return y=%twice\n"
        "}\n"
        "operators\n"
        "  1  Add\n"
        "  1  Relu\n"
        "  1  toy.Twice\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.engine"], "error: there is no file missing.engine\n"),
        (["."], "error: cannot read .: Is a directory\n"),
        (
            ["m.engine", "--tensors"],
            "error: m.engine holds no graph whose tensors could be listed\n"
            "  Hint: build it with --embed-graph, or inspect the model\n",
        ),
        (
            ["stranger.safetensors"],
            "error: stranger.safetensors is a safetensors file, but Forward did not write it\n"
            "  expected: metadata key 'forward'\n"
            "  got:      no metadata\n",
        ),
        (
            ["notes.txt"],
            "load: packs\nerror: no importer takes notes.txt\n  expected: layers, layers-file\n",
        ),
    ],
)
def test_failures(arguments: list[str], text: str) -> None:
    from safetensors.numpy import save_file

    _build()
    save_file({"x": np.ones(3)}, "stranger.safetensors")
    Path("notes.txt").write_text("hello, hello")
    result = fwd("inspect", *arguments)
    assert (result.code, result.out, result.err) == (ExitCode.FAILED, "", text)


def test_a_truncated_engine_is_not_taken_for_a_model() -> None:
    _build()
    path = Path("m.engine")
    path.write_bytes(path.read_bytes()[:-50])
    size = path.stat().st_size
    result = fwd("inspect", "m.engine")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err == (
        f"error: m.engine is truncated\n  expected: {size + 50} bytes\n  got:      {size} bytes\n"
        "  Hint: make it again, or copy it again\n"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "m.engine is an empty file\n  got:      0 bytes\n"),
        (
            b"12345",
            "m.engine is too short for an engine, a graph or a model\n  got:      5 bytes\n",
        ),
    ],
)
def test_what_is_left_of_an_engine(content: bytes, text: str) -> None:
    Path("m.engine").write_bytes(content)
    result = fwd("inspect", "m.engine", "--json")
    assert result.code == ExitCode.FAILED
    assert result.json["error"]["text"] == f"{text}  Hint: make it again, or copy it again"


def test_compiled_layers_are_a_table() -> None:
    def layer(kind: str, name: str, dtype: str, *nodes: str) -> dict[str, object]:
        tensor = {"name": "t", "shape": [2, 3], "dtype": dtype}
        sides = {"inputs": [tensor], "constants": [], "outputs": [tensor]}
        return {"name": name, "kind": kind, "tactic": "", "nodes": list(nodes), **sides}

    layers = [
        layer("correlation", "conv", "Half", "0/conv", "1/relu"),
        layer("signal", "s", "Float"),
        layer("kgen", "__myl_Cast", "Float"),
        layer("kgen", "many", "Float", *(f"n{i}" for i in range(10))),
    ]
    assert layer_rows({"layers": layers}) == [
        ["correlation", "Half", "0/conv, 1/relu"],
        ["kgen", "Float", "__myl_Cast"],
        ["kgen", "Float", "n0, n1, n2, n3, n4, n5, n6, n7, and 2 more"],
    ]
    assert layer_rows({}) == []


def test_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _build()
    for option in (["-i", "2x2"], ["--dynamic-batch"], ["--opt-batch", "2"]):
        result = fwd("inspect", "m.engine", *option)
        assert (result.code, result.out) == (ExitCode.USAGE, "")
        assert "m.engine knows its inputs" in result.err


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"threads": 2, "streams": None, "gpus": ["sm_89", "sm_9"]}, "threads=2, gpus=sm_89, sm_9"),
        ({"streams": None}, "none"),
        ([], "none"),
        (list(range(9)), "9 entries"),
        ([{"name": "conv"}], "1 entry"),
        (True, "True"),
    ],
)
def test_entries_of_manifests(value: object, text: str) -> None:
    assert value_text(value) == text
