"""How long the BERT pack looks at an encoder."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("openvino")

from benchmarks.cpu import fusing


def test_every_layer_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fusing.json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of transformers and the tracer
        fusing.main(["--layers", "2", "--json", str(file)])
    row = json.loads(file.read_text("utf-8"))["results"]
    assert row["changed"] == {
        "bert-attention": 2,
        "bert-embedding-norm": 1,
        "bert-skip-norm": 4,
        "bert-self-attention": 2,
        "bert-gelu-bias": 2,
    }
    assert 0 < row["seconds"] <= row["most"]
    told = capsys.readouterr().out
    assert "on an encoder of 2 layers, " in told
    assert told.rstrip().endswith("2 x bert-gelu-bias.")
