from __future__ import annotations

import pytest

from fwd_core.backends.base import Port
from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.tensorrt.layers import CompiledLayer, CompiledTensor
from fwd_core.backends.tensorrt.profiles import required
from fwd_core.backends.tensorrt.runtime.profiling import layer_times, profiler
from fwd_core.errors import InputError
from fwd_core.ir import DType, TensorType, symbol

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


def test_the_profile_of_a_run_is_the_one_that_holds_its_sizes() -> None:
    ports = [Port("x", TensorType(DType.FLOAT32, (symbol("batch", 1, 2, 32), 4)))]
    stated = [{"batch": [1, 1, 4]}, {"batch": [16, 16, 32]}]
    assert [required(stated, ports, [(size, 4)]) for size in (1, 4, 16, 32)] == [0, 0, 1, 1]
    message = (
        r"no profile of the engine holds these sizes\n"
        r"  expected: batch 1 … 4 \(tuned for 1\); batch 16 … 32 \(tuned for 16\)\n"
        r"  got:      batch 8\n  Hint: build it again with a profile that does"
    )
    with pytest.raises(InputError, match=message):
        required(stated, ports, [(8, 4)])


def test_as_json() -> None:
    assert LayerTime("n", "k", "Half", ("a",), 0.5).to_json() == {
        "name": "n",
        "kind": "k",
        "dtype": "Half",
        "nodes": ("a",),
        "milliseconds": 0.5,
    }


def test_of_several_profiles_the_one_tuned_closest() -> None:
    ports = [Port("x", TensorType(DType.FLOAT32, (symbol("batch", 1, 2, 32), 4)))]
    stated = [{"batch": [1, 16, 32]}, {"batch": [1, 2, 4]}]
    assert [required(stated, ports, [(size, 4)]) for size in (1, 4, 5, 32)] == [1, 1, 0, 0]
    assert required((), ports, [(7, 4)]) == 0, "an engine of fixed sizes has none"
    with pytest.raises(InputError, match=r"'x': the size of axis 1 of float32\[batch, 4\] is"):
        required(stated, ports, [(1, 5)])
