"""Runs in the background on OpenVINO."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openvino")

from values import B, kind

from fwd_core import Builder
from fwd_core.errors import InputError
from fwd_core.ir import Graph, ops


def test_results_are_those_of_run() -> None:
    graph = Graph("relu")
    x = graph.add_input("x", kind(B, 64))
    graph.set_outputs([graph.add(ops.Relu(x), name="relu")], ["y"])
    numbers = np.random.default_rng(0)
    inputs = [numbers.standard_normal((1 + i % 4, 64), np.float32) for i in range(64)]
    with Builder(backend="openvino", options={"hint": "throughput"}).compile(graph) as engine:
        for x_, pending in [(x_, engine.run_async({"x": x_})) for x_ in inputs]:
            found = pending.result()["y"]
            assert pending.done()
            np.testing.assert_array_equal(found, np.maximum(x_, 0))
        with pytest.raises(InputError, match="backend 'openvino' runs on the host"):
            engine.run_async({"x": inputs[0]}, stream=0)
