"""The example that calibrates and times a BERT, on a tiny one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")
pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

EXAMPLE = Path(__file__).parents[2] / "examples" / "bert_int8.py"


def test_it_shows_the_whole_flow_on_one_page() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 80


def test_it_runs() -> None:
    command = [sys.executable, str(EXAMPLE), "--tiny", "--windows", "8", "--length", "64"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # A CPU without a half type says so instead.
    half = [] if "float16: skipped" in done.stdout else ["float16"]
    rows = re.findall(r"│ (\w+) +│ ([\d.]+) +│ ([\d.]+) +│", done.stdout)
    assert [name for name, _, _ in rows] == ["torch", "float32", *half, "int8"], done.stdout
    for _, milliseconds, cosine in rows:
        assert float(milliseconds) > 0
        assert float(cosine) > 0.99
