"""The files of one model at one batch, which all steps share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.gpu import prepared
from benchmarks.gpu.rows import Row, few_layers
from benchmarks.summary import difference, sqnr
from fwd_core import files

_FORMAT, _VERSION = "forward-benchmark", 1


class Case:
    """Paths of the files, and the arrays in them.

    Attributes:
        folder: Of the model at this batch.
        graph: Forward's graph.
        calibration_graph: The same of batch 1: what is looked at fits into one engine.
        onnx: For the parser.
        half_onnx: The same in half precision, where that was asked for.
        meta: What is known of the model.

    Args:
        folder: Of all models.
        model: Name of the model.
        batch: How many images or sequences a call holds.
        int8: The files for int8: of a network whose results depend on what comes in, with data to
            calibrate with.
    """

    def __init__(self, folder: Path, model: str, batch: int, *, int8: bool = False) -> None:
        self.model, self.batch, self.int8 = model, batch, int8
        self.folder = folder / Row(model, batch, "int8" if int8 else "float32").case
        self.graph = self.folder / "model.graph"
        self.calibration_graph = self.graph if batch == 1 else self.folder / "calibration.graph"
        self.onnx = self.folder / "model.onnx"
        self.half_onnx = self.folder / prepared.HALF_ONNX
        self.meta = self.folder / prepared.META
        self._arrays = self.folder / "case.safetensors"
        self._calibration = self.folder / "calibration.safetensors"

    @classmethod
    def of(cls, folder: Path, row: Row) -> Case:
        """The files of a row."""
        return cls(folder, row.model, row.batch, int8=row.mode == "int8")

    def named(self, row: Row) -> Row:
        """A row with the number of layers that its files have, if they are there."""
        facts = prepared.facts(self.folder) or {}
        return dataclasses.replace(row, layers=few_layers(row.model, facts.get("layers")))

    def cache(self, route: str) -> Path:
        """Ranges that a route has found in as much data, which are the same for any batch."""
        facts = self.facts()
        few = "" if facts["layers"] is None else f"-{facts['layers']}-layers"
        name = f"{self.model}{few}-{facts.get('images', 'some')}-images-{route}.cache"
        return self.folder.parent / name

    def facts(self) -> dict[str, Any]:
        """Size of the weights in MiB and more.

        Raises:
            FileNotFoundError: Nothing was prepared.
        """
        found = prepared.facts(self.folder)
        if found is None:
            raise FileNotFoundError(f"there is no {self.meta}: run benchmarks.gpu.prepare first")
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

    def write_calibration(self, inputs: Sequence[NDArray[Any]]) -> None:
        """Keep data to calibrate with: arrays of each input, many along the first axis."""
        arrays = {f"in.{i}": array for i, array in enumerate(inputs)}
        files.write(
            self._calibration, {"inputs": len(inputs)}, arrays, format=_FORMAT, version=_VERSION
        )

    def calibration(self, size: int) -> list[list[NDArray[Any]]]:
        """Data to calibrate with, in batches of a size; what is left over is left out."""
        header, arrays = files.read(self._calibration, format=_FORMAT, version=_VERSION)
        whole = [arrays[f"in.{i}"] for i in range(header["inputs"])]
        count = len(whole[0]) // size
        return [[one[i * size : (i + 1) * size] for one in whole] for i in range(count)]


def accuracy(results: Sequence[Any], expected: Sequence[Any]) -> dict[str, float]:
    """Of all outputs the greatest relative error, the least cosine similarity and SQNR."""
    pairs = [difference(a, b) for a, b in zip(results, expected, strict=True)]
    return {
        "error": max(error for error, _ in pairs),
        "cosine": min(one for _, one in pairs),
        "sqnr_db": min(sqnr(a, b) for a, b in zip(results, expected, strict=True)),
    }
