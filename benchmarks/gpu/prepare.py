"""Files of models: ``python -m benchmarks.gpu.prepare FOLDER --only resnet50 --batch 1``.

For each model and batch a folder with Forward's graph, the ONNX file, and a case: inputs, and
what torch computes for them on the CPU in float32. Needs torch; the routes on TensorRT do not.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import models
from benchmarks.gpu import onnx_file, prepared
from benchmarks.gpu.case import Case
from benchmarks.gpu.host import version
from benchmarks.gpu.packs import plugins
from benchmarks.gpu.rows import BATCHES, MODELS, Row, few_layers, in_order
from fwd_core import Builder
from fwd_core.files import atomic_path
from fwd_core.ir.serialize import save
from fwd_ops_torch.importers import jit

#: Images or sequences to calibrate with.
CALIBRATION = 64


def prepare(
    folder: Path,
    model: str,
    batch: int,
    layers: int | None = None,
    *,
    half: bool = False,
    attention: str = "eager",
    opset: int = onnx_file.OPSET,
    int8: bool = False,
    images: int = CALIBRATION,
) -> dict[str, Any]:
    """Write the files of a model at a batch; what is there already is left alone.

    Args:
        folder: Where the folders of all models are.
        model: Name of the model.
        batch: How many images or sequences a call holds.
        layers: As for :func:`benchmarks.models.make`.
        half: Write an ONNX file in half precision too, for flavours of TensorRT whose networks
            are typed and that no flag lets narrow.
        attention: How the ONNX file computes it: ``eager``, written out as TensorRT's patterns of
            attention want it, or ``sdpa``, to which torch's exporter adds a test for NaN and a
            selection in every layer. The weights are the same.
        opset: Of the ONNX file.
        int8: Write the files that int8 is measured with: residual blocks add little, batch
            normalization has the statistics of what comes in, and there is data to calibrate with.
        images: How many images or sequences to calibrate with; at least one batch.

    Raises:
        OtherFilesError: What is there was made with other arguments.
    """
    case = Case(folder, model, batch, int8=int8)
    row = Row(model, batch, "int8" if int8 else "float32")
    wanted = prepared.asked(row, layers=layers, attention=attention, opset=opset, images=images)
    if prepared.is_there(case.folder, wanted, half=half):
        return case.facts()
    case.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    module, inputs = models.make(model, layers, batch)
    if int8:
        models.settle(module)
        _calibration(case, module, models.calibration_data(model, max(images, batch)))
    with torch.inference_mode():
        expected = module(*inputs)
    traced = jit.trace(module, inputs, check=False)
    _write(case.graph, traced, inputs)
    case.write([one.numpy() for one in inputs], [one.numpy() for one in expected])
    if attention == "eager" and f"{model} eager" in models.EAGER:
        module, inputs = models.make(f"{model} eager", layers, batch)
        traced = jit.trace(module, inputs, check=False)
    with atomic_path(case.onnx) as path:
        path.write_bytes(onnx_file.export(traced, inputs, len(expected), opset))
    if half:
        module = module.half()
        cast = [one.half() if one.is_floating_point() else one for one in inputs]
        with atomic_path(case.half_onnx) as path:
            again = jit.trace(module, cast, check=False)
            path.write_bytes(onnx_file.export(again, cast, len(expected), opset))
    facts = {
        "weights_mb": sum(one.numel() * 4 for one in module.parameters()) / 2**20,
        "layers": few_layers(model, layers),
        "seconds": time.perf_counter() - start,
        "onnx folded": onnx_file.folds(),
        "onnx opset": opset,
        "onnx attention": attention,
        **({"images": max(images, batch)} if int8 else {}),
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }
    with atomic_path(case.meta) as path:  # last: it says that all is there
        path.write_text(json.dumps(facts))
    return facts


def _calibration(case: Case, module: torch.nn.Module, drawn: Sequence[models.Inputs]) -> None:
    case.write_calibration([torch.cat(one).numpy() for one in zip(*drawn, strict=True)])
    if case.calibration_graph != case.graph:
        _write(case.calibration_graph, jit.trace(module, drawn[0], check=False), drawn[0])


def _write(target: Path, traced: torch.jit.ScriptModule, inputs: models.Inputs) -> None:
    graph = Builder(plugins=plugins()).import_model(traced, inputs)
    with atomic_path(target) as path:
        save(graph, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], choices=MODELS, help="models")
    parser.add_argument("--batch", nargs="*", type=int, default=[], choices=BATCHES)
    parser.add_argument("--layers", type=int, help="of transformers, for a quick try")
    parser.add_argument("--attention", default="eager", choices=("eager", "sdpa"), help="in ONNX")
    parser.add_argument("--opset", type=int, default=onnx_file.OPSET, help="of ONNX")
    parser.add_argument("--half", action="store_true", help="an ONNX file in float16 too")
    parser.add_argument("--int8", action="store_true", help="the files that int8 is measured with")
    parser.add_argument("--images", type=int, default=CALIBRATION, help="to calibrate with")
    asked = parser.parse_args(arguments)
    for case in dict.fromkeys((row.model, row.batch) for row in in_order(asked.only, asked.batch)):
        facts = prepare(
            asked.folder,
            *case,
            asked.layers,
            half=asked.half,
            attention=asked.attention,
            opset=asked.opset,
            int8=asked.int8,
            images=asked.images,
        )
        print(f"prepared {case[0]} batch {case[1]} in {facts['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
