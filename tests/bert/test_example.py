"""The example that calibrates and times a BERT, on a tiny one."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")
pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

EXAMPLE = Path(__file__).parents[2] / "examples" / "bert_int8.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The example in this process: another one takes seconds to import what is imported here."""

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
        runpy.run_path(str(EXAMPLE), run_name="__main__")

    return run


def test_it_shows_the_whole_flow_on_one_page() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 80


def test_it_runs() -> None:
    command = [sys.executable, str(EXAMPLE), "--tiny", "--windows", "8", "--length", "64"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
def test_what_does_not_fit_is_told_without_a_traceback(
    example: Callable[..., None], arguments: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:  # a text is printed, and the process's code is 1
        example("--tiny", *arguments)
    assert str(ended.value.code).startswith(text)


def test_a_window_may_be_longer_than_those_of_bert(
    example: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    example("--tiny", "--windows", "2", "--length", "600")
    printed = capfd.readouterr()
    assert "int8" in printed.out
    assert printed.err == ""


def test_the_help_says_what_each_option_is(
    example: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        example("--help")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    found = re.findall(r"^  (--\w+) (?:[A-Z]+)? +(\w.*)$", shown, re.MULTILINE)
    assert [name for name, _ in found] == ["--squad", "--vocab", "--length", "--windows", "--tiny"]
    assert "`" not in shown
