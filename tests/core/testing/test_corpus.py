"""Cases in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from toy_ops import OPERATORS, Tagged
from values import B, kind

from fwd_core.errors import EngineFileError
from fwd_core.ir import DType, Graph, Tensor, ops
from fwd_core.testing import EXACT, Corpus, Tolerance, assert_equal
from fwd_core.testing.compare import DEFAULTS
from fwd_core.testing.corpus import keeping, kept

X = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3))


def relu(name: str = "y") -> Graph:
    graph = Graph("g")
    x = graph.add_input("x", kind(B, 3))
    weight = graph.constant(np.ones(3, np.float32))
    graph.set_outputs([graph.add(ops.Add(graph.add(ops.Relu(x)), weight), name=name)], [name])
    return graph


def add(corpus: Corpus, graph: Graph | None = None, x: Tensor = X, title: str = "relu") -> str:
    graph = graph if graph is not None else relu()
    return corpus.add(graph, [x], [Tensor(x.data + np.float32(1))], title=title)


def test_a_case_comes_back(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "new" / "folder")
    name = add(corpus)
    (entry,) = Corpus(corpus.folder).entries()
    assert (entry.id, entry.title) == (name, "relu")
    assert entry.operators == ["fwd.Add", "fwd.Constant", "fwd.Relu"]
    case = corpus.case(entry)
    assert str(case.graph) == str(relu())
    assert_equal(dict(case.inputs), {"x": X}, tolerance=EXACT)
    assert_equal(list(case.expected), [Tensor(X.data + np.float32(1))], tolerance=EXACT)
    assert case.tolerances == {DType.FLOAT32: DEFAULTS[DType.FLOAT32]}


def test_the_same_case_is_kept_once(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    assert add(corpus) == add(corpus, title="again")
    assert [entry.title for entry in corpus.entries()] == ["relu"]
    assert len((tmp_path / "index.jsonl").read_text().splitlines()) == 1


def test_graphs_are_shared_by_cases(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    names = {add(corpus), add(corpus, x=Tensor(X.data * 2)), add(corpus, relu("z"))}
    assert len(names) == len(corpus.entries()) == 3
    assert len(list((tmp_path / "graphs").iterdir())) == 2
    assert [entry.id for entry in corpus.entries()] == sorted(names)


def test_other_ranges_of_a_size_are_another_graph(tmp_path: Path) -> None:
    from fwd_core.ir import symbol

    corpus = Corpus(tmp_path)
    for most in (4, 8):
        graph = Graph()
        x = graph.add_input("x", kind(symbol("n", 1, 2, most)))
        graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
        corpus.add(graph, [Tensor(np.ones(2, np.float32))], [], title="")
    assert len(list((tmp_path / "graphs").iterdir())) == 2


def test_every_dtype(tmp_path: Path) -> None:
    corpus, graph = Corpus(tmp_path), Graph()
    tensors = [Tensor(np.array([0, 1])).astype(dtype) for dtype in DType]
    values = [graph.add_input(f"x{i}", one.type) for i, one in enumerate(tensors)]
    graph.set_outputs(values, [f"y{i}" for i in range(len(values))])
    corpus.add(graph, tensors, tensors, title="", tolerance=EXACT)
    case = corpus.case(corpus.entries()[0])
    assert_equal(list(case.inputs.values()), tensors, tolerance=EXACT)
    assert_equal(list(case.expected), tensors, tolerance=EXACT)
    assert set(case.tolerances.values()) == {EXACT}


def test_tolerances_of_modes(tmp_path: Path) -> None:
    corpus, given = Corpus(tmp_path), Tolerance(1e-3, 0.5, reason="sums")
    corpus.add(relu(), [X], [X], title="", tolerance=given)
    case = corpus.case(corpus.entries()[0])
    assert case.tolerances_in("float32") == {DType.FLOAT32: given}
    (half,) = case.tolerances_in("float16").values()
    assert (half.rtol, half.atol) == (DEFAULTS[DType.BFLOAT16].rtol, 0.5)
    assert half.reason == "sums; a few roundings of bfloat16"


def test_operators_of_packs(tmp_path: Path) -> None:
    corpus, graph = Corpus(tmp_path), Graph()
    x = graph.add_input("x", X.type)
    graph.set_outputs([graph.add(Tagged(x))], ["y"])
    corpus.add(graph, [X], [X], title="")
    (entry,) = corpus.entries()
    assert corpus.case(entry, OPERATORS).entry is entry
    with pytest.raises(EngineFileError, match=r"operator toy\.Tagged, which no loaded pack"):
        corpus.case(entry)


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(EngineFileError, match=r"is no corpus: it has no index\.jsonl"):
        Corpus(tmp_path).entries()


@pytest.mark.parametrize("line", ["{", json.dumps({"id": "a"}), "3"])
def test_damaged_index(tmp_path: Path, line: str) -> None:
    (tmp_path / "index.jsonl").write_text(line)
    with pytest.raises(EngineFileError, match=r"index\.jsonl is damaged"):
        Corpus(tmp_path).entries()


def test_a_missing_case(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    name = add(corpus)
    (tmp_path / "cases" / f"{name}.case").unlink()
    with pytest.raises(EngineFileError, match="there is no file"):
        corpus.case(corpus.entries()[0])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineFileError, match="cannot write"):
        add(Corpus(tmp_path / "file"))


def test_keeping_is_for_one_block(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    assert kept() is None
    with keeping(corpus):
        assert kept() is corpus
    assert kept() is None
