"""Rows of the table: what is measured, in which order, and the file that they are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Most important first: a lent GPU may be gone before the last.
MODELS = ("resnet50", "bert_base", "mobilenet_v2", "vit_base")
BATCHES = (1, 32)
MODES = ("float16", "float32", "int8")
#: The halves of a row: routes on TensorRT in one process, those of torch in another.
KINDS = ("tensorrt", "torch")
#: The engine in half that stands beside one in int8 of the same model.
HALF = "forward float16"
#: Without a graph, with graphs of torch's own, and recorded by hand into one.
TORCH_ROUTES = ("torch eager", "torch.compile", "torch.compile recorded")


@dataclass(frozen=True)
class Row:
    """A model at a batch in a mode."""

    model: str
    batch: int
    mode: str

    @property
    def case(self) -> str:
        """Name of the folder with the model's files, which modes of floats share."""
        return f"{self.model}-b{self.batch}{'-int8' if self.mode == 'int8' else ''}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Halves that there are: torch has no int8 of its own to compare with."""
        return KINDS[:1] if self.mode == "int8" else KINDS

    def __str__(self) -> str:
        return f"{self.model} batch {self.batch} {self.mode}"


def in_order(
    models: Iterable[str] = (), batches: Iterable[int] = (), modes: Iterable[str] = ()
) -> list[Row]:
    """Rows that were asked for (by default all), most important first.

    Half precision comes first and int8 last, the two models with a number to reach before the
    others. In int8 the number is set for the greater batch.
    """
    wanted = set(models or MODELS), set(batches or BATCHES), set(modes or MODES)
    pairs = (MODELS[:2], MODELS[2:])
    rows = [
        Row(model, batch, mode)
        for mode in MODES
        for pair in pairs
        for batch in (BATCHES[::-1] if mode == "int8" else BATCHES)
        for model in pair
    ]
    return [
        r for r in rows if r.model in wanted[0] and r.batch in wanted[1] and r.mode in wanted[2]
    ]


def read(path: Path) -> list[dict[str, Any]]:
    """What is in a file of rows; a last line that was cut off is left out."""
    found = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict) and "kind" in document:
                found.append(document)
    return found


def append(path: Path, document: dict[str, Any]) -> None:
    """Write one row, at once and on a line of its own."""
    text = json.dumps(document) + "\n"
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        text = "\n" + text
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def has(found: Sequence[dict[str, Any]], kind: str, row: Row) -> bool:
    """Whether a row was measured. One that failed was not."""
    return any(
        (one["kind"], one["model"], one["batch"], one["mode"])
        == (kind, row.model, row.batch, row.mode)
        and "failed" not in one
        for one in found
    )


def document(kind: str, row: Row, **more: Any) -> dict[str, Any]:
    """A row as it is written."""
    return {"kind": kind, "model": row.model, "batch": row.batch, "mode": row.mode, **more}
