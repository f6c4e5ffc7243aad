"""The demonstration, as far as its command line goes; ``nox -s demo`` runs all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 1, "error: no importer takes "),
        (["resnet50.pth"], 2, "demo.py: error: unrecognized arguments: resnet50.pth\n"),
    ],
)
def test_what_does_not_fit_is_told_without_a_traceback(
    arguments: list[str], code: int, text: str
) -> None:
    pytest.importorskip("transformers")
    command = [sys.executable, str(DEMO), *arguments]
    without = {**os.environ, "FWD_DISABLE_PACKS": "torch"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=without)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
