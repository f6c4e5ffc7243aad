"""The files of one model at one batch, which all steps share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.summary import difference
from fwd_core import files

_FORMAT, _VERSION = "forward-benchmark", 1


class Case:
    """Paths of the files, and the arrays in them.

    Attributes:
        folder: Of the model at this batch.
        graph: Forward's graph.
        onnx: For the parser.
        half_onnx: The same in half precision, where that was asked for.
        meta: What is known of the model.
    """

    def __init__(self, folder: Path, model: str, batch: int) -> None:
        self.model, self.batch = model, batch
        self.folder = folder / f"{model}-b{batch}"
        self.graph = self.folder / "model.graph"
        self.onnx = self.folder / "model.onnx"
        self.half_onnx = self.folder / "model.half.onnx"
        self.meta = self.folder / "meta.json"
        self._arrays = self.folder / "case.safetensors"

    def facts(self) -> dict[str, Any]:
        """Size of the weights in MiB and more."""
        found: dict[str, Any] = json.loads(self.meta.read_text(encoding="utf-8"))
        return found

    def write(self, inputs: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> None:
        """Keep inputs and expected outputs."""
        arrays = {f"in.{i}": array for i, array in enumerate(inputs)}
        arrays |= {f"out.{i}": array for i, array in enumerate(expected)}
        header = {"inputs": len(inputs), "outputs": len(expected)}
        files.write(self._arrays, header, arrays, format=_FORMAT, version=_VERSION)

    def read(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Inputs and expected outputs."""
        header, arrays = files.read(self._arrays, format=_FORMAT, version=_VERSION)
        inputs = [arrays[f"in.{i}"] for i in range(header["inputs"])]
        return inputs, [arrays[f"out.{i}"] for i in range(header["outputs"])]


def accuracy(results: Sequence[Any], expected: Sequence[Any]) -> dict[str, float]:
    """The greatest relative error and the least cosine similarity of all outputs."""
    pairs = [difference(a, b) for a, b in zip(results, expected, strict=True)]
    return {"error": max(error for error, _ in pairs), "cosine": min(one for _, one in pairs)}
