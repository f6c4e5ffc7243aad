"""Traces that old versions of torch and transformers wrote are read and fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from encoder_table import masks
from fusing import every, fuse
from old_traces import archive

from fwd_core import Builder
from fwd_core.ir.structure import flatten
from fwd_ops_torch.importers import jit

IDS = torch.tensor([[3, 5, 1, 2, 9, 4], [7, 8, 2, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
INPUTS: dict[str, tuple[Any, ...]] = {
    "bert": (IDS, MASK, IDS % 2),
    "distilbert": (IDS, MASK),
}
#: Minus infinity in the place of scores stays as it is until self-attention has its projections.
COUNTS = {"bert": {"linear": 6, "attention": 1}, "distilbert": {"linear": 6}}
FUSED = {"gelu": 1, "embedding-norm": 1, "skip-norm": 2, "self-attention": 1, "gelu-bias": 1}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("sizes", ["static", "dynamic"])
def test_an_old_trace(name: str, sizes: str, tmp_path: Path) -> None:
    path, inputs = archive(name, tmp_path / f"{name}.pt"), INPUTS[name]
    loaded = jit.load(path)
    builder, more = Builder(backend="openvino"), {}
    if sizes == "dynamic":
        both = {0: ("batch", 1, 2, 4), 1: ("length", 2, 6, 12)}
        names = [value.name for value in builder.import_model(path, inputs).inputs]
        more = {"dynamic": dict.fromkeys(names, both)}
    graph = builder.import_model(path, inputs, **more)
    assert fuse(graph, every()) == {**FUSED, **COUNTS[name]}
    assert masks(graph) == "padding"
    engine = builder.compile(graph)
    given = [inputs] if sizes == "static" else [inputs, tuple(one[1:, :4] for one in inputs)]
    for one in given:
        with torch.no_grad():
            expected, _ = flatten(loaded(*one))
        for have, want in zip(engine.run_list([x.numpy() for x in one]), expected, strict=True):
            np.testing.assert_allclose(have, want.numpy(), atol=3e-6)
