"""The small SQuAD file and the vocabulary that tests read."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
SQUAD, VOCABULARY = DATA / "squad.json", DATA / "vocab.txt"
#: How many pieces the vocabulary has.
PIECES = len(VOCABULARY.read_text(encoding="utf-8").splitlines())
