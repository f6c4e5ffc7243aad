"""Graphs in files come back bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_ops import OPERATORS, Halves

from fwd_core import files
from fwd_core.errors import EngineFileError
from fwd_core.ir import (
    DType,
    Graph,
    Location,
    Operator,
    Tensor,
    TensorType,
    Value,
    load,
    operator,
    ops,
    save,
)
from fwd_core.ir import text as printed
from fwd_core.ir.serialize import FORMAT, VERSION, from_parts, to_parts


def _small() -> Graph:
    graph = Graph("small")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2,)))
    weight = graph.constant(np.array([1, 2], np.float32), name="weight")
    graph.set_outputs([graph.add(ops.Add(x, weight), name="y")], ["y"])
    return graph


def _bits(graph: Graph) -> dict[str, tuple[DType, tuple[int, ...], bytes]]:
    return {
        key: (tensor.dtype, tensor.shape, tensor.data.tobytes())
        for key, tensor in graph.constants.items()
    }


def _same(a: Graph, b: Graph) -> None:
    assert printed(b, locations=True) == printed(a, locations=True)
    assert _bits(b) == _bits(a)
    assert b.output_names == a.output_names
    assert (b.output_structure, b.input_structure) == (a.output_structure, a.input_structure)
    assert [node.location for node in b] == [node.location for node in a]
    for one, other in zip(a, b, strict=True):
        ours, theirs = one.op.attributes(), other.op.attributes()
        assert list(ours) == list(theirs)
        for name, value in ours.items():
            if not isinstance(value, Graph):
                assert type(theirs[name]) is type(value)
                assert repr(theirs[name]) == repr(value), name  # tells -0.0, and takes NaN as equal


def test_a_place_of_joined_nodes_comes_back(tmp_path: Path) -> None:
    graph, path = Graph("joined"), tmp_path / "any.graph"
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2,)))
    y = graph.add(ops.Relu(x), name="b", location=Location("m", "op", joined=("a", "b")))
    graph.set_outputs([graph.add(ops.Exp(y), location=Location("m", "op"))], ["y"])
    save(graph, path)
    _same(graph, load(path))


@given(graphs())
def test_round_trip_through_a_file(tmp_path_factory: pytest.TempPathFactory, graph: Graph) -> None:
    path = tmp_path_factory.getbasetemp() / "any.graph"
    save(graph, path)
    _same(graph, load(path, OPERATORS).verify())


@given(graphs())
def test_round_trip_in_memory_and_again(graph: Graph) -> None:
    document, tensors = to_parts(graph)
    stored = json.loads(json.dumps(document, allow_nan=False))
    arrays = {key: tensor.data for key, tensor in tensors.items()}
    copy = from_parts(stored, arrays, OPERATORS)
    _same(graph, copy)
    assert json.loads(json.dumps(to_parts(copy)[0])) == stored


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3,), (2, 2)])
@pytest.mark.parametrize("dtype", list(DType))
def test_constants_of_every_dtype(tmp_path: Path, dtype: DType, shape: tuple[int, ...]) -> None:
    graph = Graph()
    count = int(np.prod(shape))
    tensor = Tensor(np.arange(count, dtype=np.float32).reshape(shape)).astype(dtype)
    graph.set_outputs([graph.constant(tensor, name="c")], ["c"])
    save(graph, tmp_path / "one.graph")
    found = load(tmp_path / "one.graph").verify().value("c").constant
    assert found is not None
    assert found.type == tensor.type
    assert found.data.tobytes() == tensor.data.tobytes()
    assert found.digest == tensor.digest
    found.__dict__.pop("digest")
    assert found.digest == tensor.digest, "the name in the file is the true hash"


def test_constants_are_mapped_not_copied(tmp_path: Path) -> None:
    save(_small(), tmp_path / "small.graph")
    weight = load(tmp_path / "small.graph").value("weight").constant
    assert weight is not None
    assert not weight.data.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        weight.data[0] = 3


def test_output_names_that_look_like_derived_ones(tmp_path: Path) -> None:
    graph = Graph()
    four = graph.constant(np.arange(4), name="four")
    first, second = graph.add_all(Halves(four))
    graph.rename(first, "spare")
    graph.rename(second, "halves.0")
    graph.rename(first, "halves.1")
    assert [first.name, second.name] == ["halves.1", "halves.0"]
    save(graph, tmp_path / "g.graph")
    _same(graph, load(tmp_path / "g.graph", OPERATORS))


def test_a_graph_file_is_plain_safetensors(tmp_path: Path) -> None:
    from safetensors import safe_open

    save(_small(), tmp_path / "small.graph")
    with safe_open(tmp_path / "small.graph", "np") as opened:
        (key,) = opened.keys()
        assert opened.get_tensor(key).tolist() == [1, 2]
        header = json.loads(opened.metadata()["forward"])
    assert (header["format"], header["version"], header["name"]) == (FORMAT, VERSION, "small")


def test_loads_in_a_process_without_torch(tmp_path: Path) -> None:
    save(_small(), tmp_path / "small.graph")
    code = (
        "import sys; sys.modules['torch'] = None; from fwd_core.ir import load;"
        "print(load(sys.argv[1]).verify()); assert 'openvino' not in sys.modules"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "small.graph")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(_small())


def test_operators_of_absent_packs(tmp_path: Path) -> None:
    graph = Graph()
    graph.add_all(Halves(graph.constant(np.arange(4))))
    save(graph, tmp_path / "g.graph")
    with pytest.raises(
        EngineFileError,
        match=r"operator toy.Halves, which no loaded pack defines[\s\S]*pack that defines 'toy'",
    ):
        load(tmp_path / "g.graph")


def test_other_formats_and_versions(tmp_path: Path) -> None:
    path = tmp_path / "g.graph"
    files.write(path, {}, {}, format="forward-engine", version=1)
    with pytest.raises(EngineFileError, match=r"another kind of file\n  expected: forward-graph\n"):
        load(path)
    files.write(path, {}, {}, format=FORMAT, version=VERSION + 1)
    with pytest.raises(EngineFileError, match=r"another version of forward-graph[\s\S]*version 2"):
        load(path)


def test_altered_weights_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "g.graph"
    save(_small(), path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(EngineFileError, match="g.graph was altered or damaged: its SHA-256"):
        load(path)


@operator
class Odd(Operator, namespace="toy"):
    """Holds something that no file can."""

    x: Value
    held: Any = None

    def infer(self) -> TensorType:
        return self.x.type


@settings(max_examples=10)
@given(st.sampled_from([{1: 2}, {1}, b"", [1], np.float32(1), object()]))
def test_attributes_that_files_cannot_hold(value: object) -> None:
    graph = Graph()
    graph.add(Odd(graph.constant(np.arange(2)), held=value))
    with pytest.raises(TypeError, match="an operator's attribute may not be a"):
        to_parts(graph)
