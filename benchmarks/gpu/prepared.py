"""What the files of a model were made with, and whether that is what is asked for now.

Files are made once and used by every step and by later commands, which may say something else.
Needs nothing but Python: the program that starts the steps asks too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.rows import TRANSFORMERS, Row, few_layers

META, HALF_ONNX = "meta.json", "model.half.onnx"


class OtherFilesError(Exception):
    """The files that are there were made with other arguments."""


def asked(
    row: Row, *, layers: int | None, attention: str, opset: int, images: int
) -> dict[str, Any]:
    """The arguments that a row's files depend on, by the names of the facts that are kept."""
    found: dict[str, Any] = {"onnx opset": opset}
    if row.model in TRANSFORMERS:
        found |= {"layers": few_layers(row.model, layers), "onnx attention": attention}
    return found | ({"images": max(images, row.batch)} if row.mode == "int8" else {})


def facts(folder: Path) -> dict[str, Any] | None:
    """What is known of the files in a folder; ``None`` if not all of them are there."""
    file = folder / META
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def is_there(folder: Path, wanted: Mapping[str, Any], *, half: bool) -> bool:
    """Whether all files of a row are there.

    Args:
        folder: Of the row's model.
        wanted: From :func:`asked`.
        half: Whether an ONNX file in half precision is wanted too.

    Raises:
        OtherFilesError: They were made with other arguments.
    """
    kept = facts(folder)
    if kept is None:
        return False
    other = [name for name, value in wanted.items() if kept.get(name, ...) != value]
    if other:
        lines = [f"{folder} holds files that were made with other arguments"]
        for name in other:
            got = _told(kept[name]) if name in kept else "not kept"
            lines.append(f"  {name}: expected {_told(wanted[name])}, got {got}")
        lines.append("  ask for the same, name another folder (--work), or remove this one")
        raise OtherFilesError("\n".join(lines))
    return not half or (folder / HALF_ONNX).exists()


def _told(value: Any) -> str:
    return "all" if value is None else str(value)
