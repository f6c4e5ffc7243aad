from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openvino")

from blocks import residual_block

from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_core.plugins import Plugins
from fwd_core.quantize.placement import place, quantizable

PLUGINS = Plugins({"core": core_pack})


def _engine(graph: Graph) -> Engine:
    return Builder(backend="openvino", plugins=PLUGINS).compile(graph)


def test_layers_are_named_after_the_nodes_that_they_compute() -> None:
    with _engine(residual_block(symbol("batch", 1, 2, 4))) as engine:
        executable = OpenVINOBackend().load(engine.plan, (engine.inputs, engine.outputs))
        times = executable.layer_times([np.zeros((3, 3, 56, 56), np.float32)], 3)
    by_node = {node: one for one in times for node in one.nodes}
    for block in ("block1", "block2"):
        fused = by_node[f"{block}.conv2.bn"]
        assert f"{block}.relu2" in fused.nodes
        assert (fused.kind, fused.dtype) == ("Convolution", "f32")
    assert by_node["fc"].kind == "FullyConnected"
    assert sum(one.milliseconds for one in times) > 0
    assert all(one.milliseconds >= 0 for one in times)


def test_in_int8_convolutions_are_found_by_their_own_names() -> None:
    graph = residual_block(4)
    assert place(graph, dict.fromkeys(quantizable(graph), 3.0)).folded == 7
    with _engine(graph) as engine:
        executable = OpenVINOBackend().load(engine.plan, (engine.inputs, engine.outputs))
        times = executable.layer_times([np.zeros((4, 3, 56, 56), np.float32)], 2)
    found = {node for one in times if one.kind == "Convolution" for node in one.nodes}
    assert {"stem", "block1.conv2", "block1.conv2.bn", "block2.conv3"} <= found


def test_a_plan_from_a_file_tells_too(tmp_path: pytest.TempPathFactory) -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (64, 64)))
    graph.set_outputs([graph.add(ops.Softmax(x, 1), name="attention.softmax")], ["y"])
    with _engine(graph) as engine:
        engine.save(f"{tmp_path}/m.engine")
    with Engine.load(f"{tmp_path}/m.engine", plugins=PLUGINS) as engine:
        executable = OpenVINOBackend().load(engine.plan, (engine.inputs, engine.outputs))
        [one] = executable.layer_times([np.zeros((64, 64), np.float32)], 2)
    assert one.nodes == ("attention.softmax",)
