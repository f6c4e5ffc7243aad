from __future__ import annotations

import pytest

from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.tensorrt.layers import CompiledLayer, CompiledTensor
from fwd_core.backends.tensorrt.runtime.profiling import layer_times, profiler

HALF = CompiledTensor("y", (2, 3), "Half")
LAYERS = [
    CompiledLayer("fc/0:matrix_multiply [profile 1]", "gemm", (HALF,), (), (HALF,), "", ("fc",)),
    CompiledLayer("__myl_Relu_0", "kgen", (HALF,), (), (HALF,), "", ("relu", "relu2")),
]


def test_sums_become_means_of_layers() -> None:
    spent = {"fc/0:matrix_multiply": 3.0, "__myl_Relu_0": 1.0, "a.b/0:shuffle + x": 0.5}
    assert layer_times(spent, LAYERS, 10) == [
        LayerTime("fc/0:matrix_multiply", "gemm", "Half", ("fc",), 0.3),
        LayerTime("__myl_Relu_0", "kgen", "Half", ("relu", "relu2"), 0.1),
        LayerTime("a.b/0:shuffle + x", "", "", ("a.b",), 0.05),
    ]


def test_times_of_another_profile_find_their_layer() -> None:
    [found] = layer_times({"__myl_Relu_0 [profile 2]": 1.0}, LAYERS, 2)
    assert (found.kind, found.nodes, found.milliseconds) == ("kgen", ("relu", "relu2"), 0.5)


def test_a_profiler_adds_up_in_the_order_of_the_layers() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    watch = profiler(trt)
    for _ in range(3):
        watch.report_layer_time("b", 0.5)
        watch.report_layer_time("a", 0.25)
    assert list(watch.milliseconds.items()) == [("b", 1.5), ("a", 0.75)]
    assert isinstance(watch, trt.IProfiler)


def test_as_json() -> None:
    assert LayerTime("n", "k", "Half", ("a",), 0.5).to_json() == {
        "name": "n",
        "kind": "k",
        "dtype": "Half",
        "nodes": ("a",),
        "milliseconds": 0.5,
    }
