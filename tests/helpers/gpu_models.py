"""Models for the tests on a GPU: ``python tests/helpers/gpu_models.py FOLDER`` needs torch.

TensorRT 8.6 and PyTorch do not fit into one process, so what torch has to do is left in files:
the graph of each model with a fixed and with a dynamic batch, inputs, and what torch computes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fwd_core import files
from fwd_core.files import atomic_path

MODELS = ("resnet50", "mobilenet_v2", "vit_base", "bert_base")
#: Batch of the fixed graph; least, best and greatest of the dynamic one, and one in between.
FIXED, RANGE, BETWEEN = 2, (1, 4, 8), 3
FORMAT, VERSION = "forward-gpu-model", 1


def prepare(folder: Path, name: str) -> None:
    """Write ``NAME.fixed.graph``, ``NAME.dynamic.graph`` and ``NAME.arrays``."""
    import torch

    from benchmarks import models
    from benchmarks.gpu.packs import plugins
    from fwd_core import Builder
    from fwd_core.ir.serialize import save
    from fwd_ops_torch.importers import jit

    least, best, greatest = RANGE
    module, inputs = models.make(name, batch=greatest)
    with torch.inference_mode():
        expected = module(*inputs)
    names: list[str] = []
    for kind, batch in (("fixed", FIXED), ("dynamic", best)):
        part = tuple(one[:batch] for one in inputs)
        more = {each: {0: ("batch", least, best, greatest)} for each in names}
        traced = jit.trace(module, part, check=False)
        graph = Builder(plugins=plugins()).import_model(traced, part, dynamic=more or None)
        names = [value.name for value in graph.inputs]
        with atomic_path(folder / f"{name}.{kind}.graph") as path:
            save(graph, path)
    arrays: dict[str, Any] = {f"in.{i}": one.numpy() for i, one in enumerate(inputs)}
    arrays |= {f"out.{i}": one.numpy() for i, one in enumerate(expected)}
    header = {"inputs": len(inputs), "outputs": len(expected)}
    files.write(folder / f"{name}.arrays", header, arrays, format=FORMAT, version=VERSION)


def read(folder: Path, name: str) -> tuple[list[Any], list[Any]]:
    """Inputs and expected outputs, of the greatest batch."""
    header, arrays = files.read(folder / f"{name}.arrays", format=FORMAT, version=VERSION)
    inputs = [arrays[f"in.{i}"] for i in range(header["inputs"])]
    return inputs, [arrays[f"out.{i}"] for i in range(header["outputs"])]


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for model in sys.argv[2:] or MODELS:
        prepare(Path(sys.argv[1]), model)
        print(f"{model} is in {sys.argv[1]}", flush=True)
