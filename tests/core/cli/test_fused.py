"""``fwd inspect --fused``: the graph that a build lowers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_program import Result, model, plugins
from toy_program import fwd as program
from toy_sums import SumsPack

from fwd_core import hookimpl
from fwd_core.cli.codes import ExitCode
from fwd_core.ir import DType, Emitter, Graph, Node, TensorType, Value, ops, save
from fwd_core.rewrite import NodeRewrite


class TanhOfRelu(NodeRewrite):
    """Makes one operator of two activations."""

    name = "tanh-of-relu"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        if not isinstance(node.op, ops.Tanh) or node.op.x.producer is None:
            return None
        inner = node.op.x.producer.op
        return emit(ops.Sigmoid(inner.x)) if isinstance(inner, ops.Relu) else None


class FusingPack:
    """For the toy backend alone."""

    @hookimpl
    def fwd_register_rewrites(self, register: Any) -> None:
        register.add(TanhOfRelu(), stage="fusion", when=lambda target: target.backend.name == "toy")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    model(tmp_path, [["relu"], ["wave"]])
    return tmp_path


def fwd(*arguments: object) -> Result:
    return program(*arguments, packs=plugins(sums=SumsPack(), fusing=FusingPack()))


FUSED = """\
model.layers: model, SIZE
  fused  for toy in float32
  graph  model: 1 operator, 0 constants of SIZE
inputs
  x  float32[2, 4]
outputs
  y  float32[2, 4]
graph
graph model(%x: float32[2, 4]) {
  %layer1.wave = Sigmoid(%x) : float32[2, 4]
  return y=%layer1.wave
}
operators
  1  Sigmoid
"""


def test_a_model() -> None:
    arguments = ["inspect", "model.layers", "-i", "2x4"]
    result = fwd(*arguments, "--fused")
    assert (result.code, result.out) == (ExitCode.OK, FUSED)
    assert result.err == ("load: packs\nimport: layers-file\nrewrite: clean-up\nrewrite: fusion\n")
    assert fwd(*arguments, "--fused", "--backend", "toy").out == FUSED
    document = fwd(*arguments, "--fused", "--json").json
    assert document["fused"] == "toy"
    assert document["graph"]["operators"] == {"Sigmoid": 1}
    plain = fwd(*arguments, "--json").json
    assert "fused" not in plain
    assert plain["graph"]["operators"] == {"Relu": 1, "Tanh": 1}


def test_options_of_packs_come_first() -> None:
    arguments = ["inspect", "model.layers", "-i", "2x4", "--option", "with_sums=true"]
    document = fwd(*arguments, "--fused", "--json").json
    assert document["graph"]["operators"] == {"Add": 1, "Sigmoid": 1}
    assert [one["name"] for one in document["made"]] == ["sums"]


def test_a_graph_file() -> None:
    graph = Graph("wave")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 4)))
    graph.set_outputs([graph.add(ops.Tanh(graph.add(ops.Relu(x))))], ["y"])
    save(graph, "graph.fwd")
    result = fwd("inspect", "graph.fwd", "--fused", "--json")
    assert result.json["graph"]["operators"] == {"Sigmoid": 1}
    assert fwd("inspect", "graph.fwd", "--json").json["graph"]["operators"] == {
        "Relu": 1,
        "Tanh": 1,
    }


def test_a_backend_that_is_not_there_is_told_before_the_model_is_read() -> None:
    model(Path(), [["crash"]])
    result = fwd("inspect", "model.layers", "-i", "2x4", "--fused", "--backend", "toi")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err.startswith("load: packs\nerror: there is no backend 'toi'\n")
    assert "Hint: did you mean 'toy'?" in result.err


def test_where_it_has_no_place() -> None:
    model(Path(), [["relu"]])
    assert fwd("build", "model.layers", "-i", "2x4", "-o", "m.engine").code == ExitCode.OK
    result = fwd("inspect", "m.engine", "--fused")
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert "--fused: m.engine is built already: give the model, or a graph file" in result.err
    for more in (["--tensors"], ["--sensitivity", "--calibrate", "x.npy"]):
        result = fwd("inspect", "model.layers", "-i", "2x4", *more, "--fused")
        assert (result.code, result.out) == (ExitCode.USAGE, "")
        told = "--fused: names and ranges of int8 are of the model before packs fuse it"
        assert told in result.err
