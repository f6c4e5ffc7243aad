"""Accuracy on the digits in two steps that share files, as far as it goes on OpenVINO."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("torch")
pytest.importorskip("sklearn", reason="scikit-learn ships the digits, and is not installed")

from benchmarks.gpu import digits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("digits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's
        digits.prepare(made, epochs=3)
    return made


def test_files_are_small(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1 << 20


def test_what_is_measured_is_what_torch_computes(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "digits.json"
    command = ["measure", str(folder), "--models", "cnn", "--algorithms", "minmax"]
    digits.main([*command, "--backend", "openvino", "--json", str(target)])
    rows = json.loads(target.read_text())["results"]["cnn"]
    assert list(rows) == ["float32", "float16", "int8 minmax"]
    assert rows["float32"]["sqnr_db"] > 80
    assert rows["float32"]["drop"] == 0
    assert 15 < rows["int8 minmax"]["sqnr_db"] < 80
    assert rows["int8 minmax"]["accuracy"] > 50  # guessing reaches 10


def test_a_mode_that_loses_too_much_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(digits, "ALLOWED", -np.inf)
    command = ["measure", str(folder), "--models", "cnn", "--algorithms", "minmax"]
    assert digits.main([*command, "--backend", "openvino"]) == 1
    assert "POINTS LOST" in capsys.readouterr().out


def test_the_second_step_needs_neither_torch_nor_scikit_learn() -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['sklearn'] = None\n"
    code += "import benchmarks.gpu.digits"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
