"""Sums of many large numbers in half on a GPU: `pytest -m gpu tests/gpu` with a GPU.

On TensorRT 8.6 norms, softmax and means ask for half. That is right only as long as their kernels
add up in float32: 4096 numbers around 1000 add up to 60 times what half can hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fwd_core import Builder, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.ir import Dim, DType, Graph, Operator, TensorType, Value, ops, symbol
from fwd_core.plugins import Plugins

pytest.importorskip("tensorrt")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not TensorRTBackend().availability().run, reason=TensorRTBackend().availability().reason
    ),
]
Array = NDArray[Any]
SIZE = 4096


def _normed(x: Array) -> Array:
    centered = x - x.mean(-1, keepdims=True)
    return np.asarray(centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5))


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


CASES: dict[str, tuple[Callable[[Value], Operator], Callable[[Array], Array], float]] = {
    "layer norm": (lambda x: ops.LayerNorm(x, None, None, 1, 1e-5), _normed, 1e-2),
    "mean": (lambda x: ops.ReduceMean(x, (1,)), lambda x: np.asarray(x.mean(-1)), 2e-3),
    "softmax": (lambda x: ops.Softmax(x, 1), _softmax, 2e-2),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [SIZE, symbol("size", 16, SIZE, SIZE)], ids=["static", "dynamic"])
def test_sums_of_large_numbers_fit(case: str, size: Dim) -> None:
    make, exact, least = CASES[case]
    graph = Graph(case.replace(" ", "_"))
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2, size)))
    # Computed in half, so that what comes in is none of the engine's float32 inputs.
    graph.set_outputs([graph.add(make(graph.add(ops.Abs(x))))], ["y"])
    numbers = np.random.default_rng(0).normal(1000, 300, (2, SIZE)).astype(np.float32)
    if case == "softmax":
        numbers = numbers / np.float32(100)
    plugins = Plugins({"core": core_pack})
    with Builder(backend="tensorrt", mode="float16", plugins=plugins).compile(graph) as engine:
        found = engine.run({"x": numbers})["y"].astype(np.float64)
    wanted = exact(np.abs(numbers).astype(np.float64))
    assert found.shape == wanted.shape
    assert np.isfinite(found).all()
    assert np.abs(found - wanted).max() <= least * np.abs(wanted).max()
