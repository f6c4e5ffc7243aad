"""Accuracy in int8 on real data: the benchmark's own models, trained for fewer steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

pytest.importorskip("openvino")
pytest.importorskip("sklearn", reason="scikit-learn ships the digits, and is not installed")

from machine import beside_int8

from benchmarks import digits as bench

#: Passes after which the small networks have learned most of it.
EPOCHS = {"cnn": 6, "transformer": 16}
#: What fewer steps reach at least; guessing reaches 10.
LEARNED = 90.0
#: As OpenVINO's runtime model tells; attention of the transformer's two layers stays in float.
PRECISION = {
    "cnn": "int8 5 of 5 products",
    "transformer": "int8 10 of 14 products",
}


@pytest.fixture(scope="module")
def digits() -> bench.Digits:
    return bench.Digits.load()


def test_what_is_held_out_is_not_learned_from(digits: bench.Digits) -> None:
    assert len(digits.labels) == 1198
    assert len(digits.held_out_labels) == 599
    assert digits.images.shape[1:] == digits.held_out.shape[1:] == (1, 8, 8)
    assert float(digits.images.min()) == 0.0
    assert float(digits.images.max()) == 1.0
    assert torch.equal(bench.Digits.load().held_out, digits.held_out)


@pytest.mark.parametrize("name", list(bench.MODELS))
def test_int8_loses_at_most_half_a_point(name: str, digits: bench.Digits) -> None:
    model = bench.trained(name, digits, EPOCHS[name])
    rows = {"float32": bench.scored(model, digits, "float32", backend="openvino")}
    for algorithm in ("mse", "entropy_2", "minmax"):
        rows[algorithm] = bench.scored(model, digits, "int8", algorithm, backend="openvino")
    reached = rows.pop("float32")["accuracy"]
    assert reached > LEARNED
    for algorithm, row in rows.items():
        assert row["precision"] == f"{PRECISION[name]}, {beside_int8()}", algorithm
        assert 20 < row["sqnr_db"] < 60, algorithm  # in int8 for real, and near
        assert reached - row["accuracy"] <= bench.ALLOWED, algorithm


def test_the_program_fails_where_more_is_lost_than_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(bench.EPOCHS, "cnn", 1)
    monkeypatch.setattr(bench, "ALLOWED", 100.0)
    arguments = ["--models", "cnn", "--algorithms", "mse", "--json", str(tmp_path / "d.json")]
    assert bench.main(arguments) == 0
    rows = json.loads((tmp_path / "d.json").read_text())["results"]["cnn"]
    assert set(rows) == {"float32", "float16", "int8 mse"}
    capsys.readouterr()
    monkeypatch.setattr(bench, "ALLOWED", -1.0)
    assert bench.main(arguments) == 1
    lost = f"cnn, int8 mse: {rows['int8 mse']['drop']:.2f} points lost, at most -1.0 are allowed"
    assert lost in capsys.readouterr().out
