"""BERT in int8 as Forward's document has it: ``int8_calib`` writes a cache that ``int8`` reads.

Windows are those of ``BertBatchStream`` over a file of questions. Files come from
``python tests/helpers/gpu_bert.py FOLDER``, which needs torch; ``FORWARD_GPU_INT8=FOLDER`` names
them here. Without it they are made where torch is. It goes the same way on OpenVINO without a GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_bert
import numpy as np
import pytest
from machine import half_type

from benchmarks.gpu.packs import plugins
from benchmarks.summary import difference
from fwd_core import Builder, Engine
from fwd_core.ir.serialize import load
from fwd_core.quantize import Calibrator

PACKS = plugins()
#: Least cosine of the hidden states of real tokens to torch's in float32.
LEAST = {"float32": 0.99999, "float16": 0.999, "int8_calib": 0.99999, "int8": 0.99}
ROOT = Path(__file__).parents[2]


def _backend(name: str, *marks: pytest.MarkDecorator) -> Any:
    found = PACKS.backends[name].availability()
    return pytest.param(
        name, marks=[*marks, pytest.mark.skipif(not found.run, reason=found.reason or "it runs")]
    )


BACKENDS = [_backend("openvino"), _backend("tensorrt", pytest.mark.gpu)]
pytestmark = pytest.mark.filterwarnings("ignore::fwd_core.errors.ForwardWarning")  # of times' files


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if named := os.environ.get("FORWARD_GPU_INT8"):
        return Path(named)
    for needed in ("torch", "transformers", "tokenizers"):
        pytest.importorskip(needed)
    made = tmp_path_factory.mktemp("bert")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    }
    # In a process of its own: torch brings a CUDA of its own.
    command = [sys.executable, str(gpu_bert.__file__), str(made)]
    subprocess.run(command, check=True, env=environment)
    return made


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cache_of_windows_is_written_and_read(backend: str, folder: Path, tmp_path: Path) -> None:
    file, batches, inputs, expected = gpu_bert.read(folder)
    real = inputs[gpu_bert.MASK].astype(bool)
    assert 0.1 < real.mean() < 0.9  # there is padding, which is not looked at
    cache = tmp_path / "bert.cache"

    def built(mode: str) -> Engine:
        given = {"batches": batches, "cache": cache} if mode == "int8_calib" else {"cache": cache}
        calibrator = Calibrator(algorithm="minmax", **given) if "int8" in mode else None  # type: ignore[arg-type]
        builder = Builder(backend=backend, mode=mode, plugins=PACKS, calibrator=calibrator)
        return builder.compile(load(file, PACKS.operators))

    found = {}
    for mode, least in LEAST.items():
        if mode == "float16" and backend == "openvino" and half_type() is None:
            continue  # such a CPU refuses it, which has a test of its own
        assert cache.exists() == (mode == "int8")
        with built(mode) as engine:
            (hidden,) = engine.run_list(inputs)
        assert (hidden.shape, hidden.dtype) == (expected.shape, np.float32)
        _, found[mode] = difference(hidden[real], expected[real])
        print(backend, mode, found[mode])
        assert found[mode] >= least
    assert found["int8"] < found["float32"]  # it was computed in fewer bits
