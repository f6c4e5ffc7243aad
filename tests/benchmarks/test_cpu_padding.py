"""The measure of removed padding on a CPU, on a small share of BERT."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("openvino")

from benchmarks import lengths
from benchmarks.cpu import padding
from benchmarks.models import make


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9, 1.0])
def test_lengths_have_the_share(share: float) -> None:
    found = lengths.lengths(32, 128, share)
    assert found.max() == 128
    assert found.min() >= 1
    assert found.mean() / 128 == pytest.approx(share, abs=0.01)
    assert lengths.kept(32, 128, share).sum(1).tolist() == found.tolist()


def test_a_batch_keeps_its_ids() -> None:
    _, inputs = make("bert_base", 1, 2)
    ids, mask = padding.batch_of(inputs, 0.5)
    assert ids is inputs[0]
    assert (mask.dtype, mask.shape) == (inputs[1].dtype, inputs[1].shape)
    assert mask.sum() == lengths.lengths(2, 128, 0.5).sum()


def test_calls_take_turns() -> None:
    made: list[str] = []
    calls = {name: lambda name=name: made.append(name) for name in ("a", "b")}
    times = padding.in_turns(calls, 0.0, least=3)
    assert {name: len(one) for name, one in times.items()} == {"a": 3, "b": 3}
    rounds = [sorted(made[index : index + 2]) for index in range(0, len(made), 2)]
    assert rounds == [["a", "b"]] * 4, "one of them is the first run"


@pytest.mark.filterwarnings("ignore")  # the tracer's
def test_a_row_for_each_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "padding.json"
    size = ["--batch", "2", "--layers", "1", "--seconds", "0", "--shares", "0.25", "1"]
    padding.main([*size, "--modes", "float32", "--note", "as a test", "--json", str(path)])
    document = json.loads(path.read_text("utf-8"))
    assert document["machine"]["cores"]
    results = document["results"]
    assert (results["layers"], results["note"]) == (1, "as a test")
    few, all_of_them = results["rows"]
    assert (all_of_them["share"], all_of_them["batch"], all_of_them["length"]) == (1, 2, 128)
    assert few["share"] == pytest.approx(0.5, abs=0.01), "one sequence has the full length"
    for row in (few, all_of_them):
        low, high = row["packed / padded"][1:]
        assert 0 < low <= row["packed / padded"][0] <= high
        assert all(one["cosine"] > 0.999999 for one in row["routes"].values())
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("float32, 2 x 128, 100% tokens: padded ")
