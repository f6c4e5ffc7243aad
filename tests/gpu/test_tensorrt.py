"""Engines on a GPU: what CI cannot run. `pytest -m gpu tests/gpu` on a machine with one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import padded_attention
import pytest
from numpy.typing import NDArray

from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_core.plugins import Plugins

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not TensorRTBackend().availability().run, reason=TensorRTBackend().availability().reason
    ),
]
WEIGHT = np.random.default_rng(5).standard_normal((8, 16), np.float32)


def _engine(mode: str) -> Engine:
    """``relu(x W^T)``, its count of positive elements per row, and the flags turned over."""
    graph = Graph()
    batch = symbol("batch", 1, 4, 32)
    x = graph.add_input("x", TensorType(DType.FLOAT32, (batch, 16)))
    flags = graph.add_input("flags", TensorType(DType.BOOL, (batch,)))
    y = graph.add(ops.Relu(graph.add(ops.Linear(x, graph.constant(WEIGHT)))))
    zero = graph.constant(np.array(0, np.float32))
    positive = graph.add(ops.Cast(graph.add(ops.Greater(y, zero)), DType.INT64))
    count = graph.add(ops.ReduceSum(positive, (1,)))
    graph.set_outputs([y, count, graph.add(ops.Not(flags))], ["y", "count", "flipped"])
    plugins = Plugins({"core": core_pack})
    return Builder(backend="tensorrt", mode=mode, plugins=plugins).compile(graph.verify())


def _feeds(batch: int, seed: int) -> dict[str, NDArray[np.generic]]:
    numbers = np.random.default_rng(seed)
    x = numbers.standard_normal((batch, 16), np.float32)
    return {"x": x, "flags": numbers.random(batch) > 0.5}


@pytest.mark.parametrize(("mode", "tolerance"), [("float32", 1e-5), ("float16", 2e-2)])
def test_numbers_types_and_shapes(mode: str, tolerance: float) -> None:
    with _engine(mode) as engine:
        for batch in (1, 4, 32):
            feeds = _feeds(batch, batch)
            found = engine.run(feeds)
            wanted = np.maximum(feeds["x"] @ WEIGHT.T, 0)
            np.testing.assert_allclose(found["y"], wanted, atol=tolerance, rtol=tolerance)
            np.testing.assert_array_equal(found["count"], (found["y"] > 0).sum(1))
            np.testing.assert_array_equal(found["flipped"], np.logical_not(feeds["flags"]))
            assert found["count"].dtype == np.int64


@pytest.mark.parametrize(("mode", "tolerance"), [("float32", 1e-4), ("float16", 2e-2)])
@pytest.mark.parametrize("dtype", [DType.BOOL, DType.FLOAT32])
def test_a_sequence_without_keys_gives_zeros(mode: str, tolerance: float, dtype: DType) -> None:
    batch = symbol("batch", 1, 3, 8)
    graph = padded_attention.attention_and_projection(batch, padded_attention.projected, dtype)
    plugins = Plugins({"core": core_pack})
    with Builder(backend="tensorrt", mode=mode, plugins=plugins).compile(graph) as engine:
        padded_attention.assert_right(engine, dtype, tolerance)


def test_threads_do_not_disturb_one_another() -> None:
    with _engine("float32") as engine:
        cases = [_feeds(1 + seed % 32, seed) for seed in range(200)]
        serial = [engine.run(feeds)["y"] for feeds in cases]
        with ThreadPoolExecutor(8) as pool:
            parallel = list(pool.map(lambda feeds: engine.run(feeds)["y"], cases))
    for one, other in zip(serial, parallel, strict=True):
        np.testing.assert_array_equal(one, other)
