"""Whole models on a GPU, with a fixed and with a dynamic batch, in both precisions.

Files of the models come from ``python tests/helpers/gpu_models.py FOLDER``, which needs torch;
``FORWARD_GPU_MODELS=FOLDER`` names them here. Without it they are made where torch is.
``FORWARD_GPU_LEVEL`` is the optimization level; 0 builds quickly, and then nothing is asked of the
share of kernels in half, where the engine tells of them. Where it does not, the size of its weights
is asked at every level.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_models
import numpy as np
import pytest

from benchmarks.gpu.build import library
from benchmarks.gpu.packs import plugins
from benchmarks.summary import difference
from fwd_core import Builder, Engine
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.backends.tensorrt.layers import CompiledLayer, half_share
from fwd_core.ir import Graph
from fwd_core.ir.serialize import load

AVAILABLE = TensorRTBackend().availability()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not AVAILABLE.run, reason=AVAILABLE.reason),
]
#: Greatest error relative to the greatest value, and least cosine similarity.
BOUNDS = {"float32": (1e-3, 0.99999), "float16": (5e-2, 0.999)}
#: Greatest size of a plan in half whose layers tell nothing, over that of the weights in float32:
#: weights in half are 0.5, and 210 of 418 MiB were seen for BERT-base.
MOST_WEIGHTS = 0.6
PACKS = plugins()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if named := os.environ.get("FORWARD_GPU_MODELS"):
        return Path(named)
    pytest.importorskip("torch")
    made = tmp_path_factory.mktemp("models")
    program = Path(gpu_models.__file__)
    # In a process of its own: torch brings a CUDA of its own.
    subprocess.run([sys.executable, str(program), str(made)], check=True)
    return made


#: Model, kind and mode that a version of TensorRT computes wrong in most of its builds, by its ONNX
#: parser too: docs/explanation/limits.md.
WRONG = {"8.6.0": ("vit_base", "fixed", "float32")}


def _build(graph: Graph, mode: str) -> Engine:
    options: dict[str, Any] = {"layers": True}
    if level := os.environ.get("FORWARD_GPU_LEVEL"):
        options["optimization_level"] = int(level)
    builder = Builder(backend="tensorrt", mode=mode, plugins=PACKS, options=options)
    return builder.compile(graph)


def _weights(graph: Graph) -> int:
    """Bytes of a graph's constants of floats, in float32."""
    return sum(4 * one.data.size for one in graph.constants.values() if one.dtype.is_float)


@pytest.mark.parametrize("mode", ["float16", "float32"])
@pytest.mark.parametrize("kind", ["dynamic", "fixed"])
@pytest.mark.parametrize("name", gpu_models.MODELS)
def test_a_model_gives_what_torch_gives(name: str, kind: str, mode: str, folder: Path) -> None:
    inputs, expected = gpu_models.read(folder, name)
    sizes: tuple[int, ...] = (gpu_models.FIXED,)
    if kind == "dynamic":
        sizes = (*gpu_models.RANGE, gpu_models.BETWEEN)
    error, cosine = 0.0, 1.0
    graph = load(folder / f"{name}.{kind}.graph", PACKS.operators)
    weights = _weights(graph)  # before the build, which changes the graph
    with _build(graph, mode) as engine:
        for size in sizes:
            found = engine.run_list([one[:size] for one in inputs])
            for got, whole in zip(found, expected, strict=True):
                wanted = whole[:size]
                assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
                assert np.isfinite(got).all()
                far, close = difference(got, wanted)
                error, cosine = max(error, far), min(cosine, close)
        layers = [CompiledLayer.from_json(one) for one in engine.plan.manifest["layers"]]
        bulk = memoryview(engine.plan.payload()).nbytes / weights
    share = half_share(layers)
    told = f"{share}, {bulk:.2f} x the weights"
    print(f"{name} {kind} {mode}: error {error:.2e}, cosine {cosine:.6f}, {told}")
    if error > BOUNDS[mode][0] and WRONG.get(library().version) == (name, kind, mode):
        pytest.xfail("TensorRT's own defect")
    assert error <= BOUNDS[mode][0]
    assert cosine >= BOUNDS[mode][1]
    if mode != "float16":
        return
    assert share.products or share.opaque
    if share.opaque:  # TensorRT 8 tells nothing of a transformer, but holds its weights in half
        assert bulk <= MOST_WEIGHTS
    quick = os.environ.get("FORWARD_GPU_LEVEL")  # such builds leave kernels in float32
    if share.products and not quick:
        assert share.share >= 0.95
