"""Rows of the table: what is measured, in which order, and the file that they are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
#: In int8, Forward with no layer asking for a precision.
UNASKED = "forward unasked"
#: Without a graph, with graphs of torch's own, and recorded by hand into one.
TORCH_ROUTES = ("torch eager", "torch.compile", "torch.compile recorded")
#: Models that can be measured with fewer layers, for a quick try.
TRANSFORMERS = ("bert_base", "vit_base")


@dataclass(frozen=True)
class Row:
    """A model at a batch in a mode; of fewer layers than it has, if ``layers`` says so."""

    model: str
    batch: int
    mode: str
    layers: int | None = None

    @property
    def case(self) -> str:
        """Name of the folder with the model's files, which modes of floats share."""
        return f"{self.model}-b{self.batch}{'-int8' if self.mode == 'int8' else ''}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Halves that there are: torch has no int8 of its own to compare with."""
        return KINDS[:1] if self.mode == "int8" else KINDS

    def __str__(self) -> str:
        few = "" if self.layers is None else f", {self.layers} layers"
        return f"{self.model} batch {self.batch} {self.mode}{few}"


def few_layers(model: str, layers: int | None) -> int | None:
    """How many layers a model has where so many are asked for; ``None`` for all of its own."""
    return layers if model in TRANSFORMERS else None


def in_order(
    models: Iterable[str] = (),
    batches: Iterable[int] = (),
    modes: Iterable[str] = (),
    layers: int | None = None,
) -> list[Row]:
    """Rows that were asked for (by default all), most important first.

    Half precision comes first and int8 last, the two models with a number to reach before the
    others. In int8 the number is set for the greater batch. Transformers have as many layers as is
    said.
    """
    wanted = set(models or MODELS), set(batches or BATCHES), set(modes or MODES)
    pairs = (MODELS[:2], MODELS[2:])
    rows = [
        Row(model, batch, mode, few_layers(model, layers))
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


def has(
    found: Sequence[dict[str, Any]],
    kind: str,
    row: Row,
    routes: Iterable[str] = (),
    *,
    device: str = "cuda",
    prepared: Mapping[str, Any] | None = None,
) -> bool:
    """Whether a row was measured, of as many layers, with each of some routes.

    One that failed was not, nor was a route that failed. A route that is not asked for may fail:
    the page tells which did.

    Args:
        found: Rows that there are.
        kind: The half.
        row: The row.
        routes: What has to be there of it.
        device: That torch ran on.
        prepared: Arguments that its files have to be made with, as far as the row keeps them.
    """
    wanted, made = set(routes), dict(prepared or {})
    return any(
        (one["kind"], of(one)) == (kind, row)
        and "failed" not in one
        and one.get("asked", {}).get("device", "cuda") == device
        and wanted <= {name for name, kept in one.get("routes", {}).items() if "failed" not in kept}
        and made.items() <= {**made, **one.get("prepared", {})}.items()
        for one in found
    )


def of(document: Mapping[str, Any]) -> Row:
    """What a document is of. Older ones keep their layers elsewhere, or are of whole models."""
    older = document.get("prepared", {}).get("layers")
    layers = few_layers(document["model"], document.get("layers", older))
    return Row(document["model"], document["batch"], document["mode"], layers)


def document(kind: str, row: Row, **more: Any) -> dict[str, Any]:
    """A row as it is written."""
    named = {"kind": kind, "model": row.model, "batch": row.batch, "mode": row.mode}
    return {**named, "layers": row.layers, **more}
