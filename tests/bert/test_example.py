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


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_shows_the_whole_flow_on_one_page() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 80


def test_it_runs() -> None:
    done = _run("--tiny", "--windows", "8", "--length", "64")
    assert done.returncode == 0, done.stderr
    # A CPU without a half type says so instead.
    half = [] if "float16: skipped" in done.stdout else ["float16"]
    rows = re.findall(r"│ (\w+) +│ ([\d.]+) +│ ([\d.]+) +│ ([\d.]+|inf) +│", done.stdout)
    assert [name for name, *_ in rows] == ["torch", "float32", *half, "int8"], done.stdout
    for _, milliseconds, cosine, _ in rows:
        assert float(milliseconds) > 0
        assert float(cosine) > 0.99
    noise = {name: float(sqnr) for name, *_, sqnr in rows}
    assert noise["torch"] == float("inf")
    assert noise["float32"] > 90
    assert 30 < noise["int8"] < 80  # five digits of a cosine do not show it


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--vocab", "nofile.txt"], "error: cannot read vocabulary nofile.txt\n"),
        (["--squad", str(EXAMPLE)], f"error: {EXAMPLE} is no JSON\n"),
        (["--length", "8"], "error: max_seq_length leaves no place for the text\n"),
    ],
)
def test_what_does_not_fit_is_told_without_a_traceback(arguments: list[str], text: str) -> None:
    done = _run("--tiny", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(text)
    assert "Traceback" not in done.stderr


def test_a_window_may_be_longer_than_those_of_bert() -> None:
    done = _run("--tiny", "--windows", "2", "--length", "600")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_help_says_what_each_option_is() -> None:
    found = re.findall(r"^  (--\w+) (?:[A-Z]+)? +(\w.*)$", _run("--help").stdout, re.MULTILINE)
    assert [name for name, _ in found] == ["--squad", "--vocab", "--length", "--windows", "--tiny"]
    assert "`" not in _run("--help").stdout
