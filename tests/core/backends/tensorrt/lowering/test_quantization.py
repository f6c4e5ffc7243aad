"""The layers that quantized graphs become, and what is composed instead."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from quantized_graphs import GRAPHS, Quantizing
from tensorrt_networks import LIKE_10, network

from fwd_core.backends.tensorrt.features import ROWS, Features
from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.rewrite.precision import to_half


def layers(graph: Graph, features: Features | None = None) -> Counter[str]:
    """How many layers of each type a network has."""
    with network(graph, features) as ctx:
        listed = [ctx.network.get_layer(i) for i in range(ctx.network.num_layers)]
        return Counter(layer.type.name for layer in listed)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("features", [None, LIKE_10], ids=["rtx", "like-10"])
@pytest.mark.parametrize("name", GRAPHS)
def test_pairs_are_layers(name: str, features: Features | None, half: bool) -> None:
    graph = GRAPHS[name][0]()
    kinds = Counter(type(node.op) for node in graph)
    if half:
        to_half(graph)
    found = layers(graph, features)
    assert found["QUANTIZE"] == kinds[ops.Quantize]
    assert found["DEQUANTIZE"] == kinds[ops.Dequantize]


@pytest.mark.parametrize("name", GRAPHS)
def test_weights_are_quantized_by_the_library_where_it_must(name: str) -> None:
    """TensorRT 8 has no constants of 8 bits: it is given the floats that integers stand for."""
    graph = GRAPHS[name][0]()
    kinds = Counter(type(node.op) for node in graph)
    row = next(row for (flavour, _), row in ROWS.items() if flavour == "tensorrt_rtx")
    found = layers(graph, replace(row, byte_constants=False))
    assert found["QUANTIZE"] == found["DEQUANTIZE"] == kinds[ops.Dequantize]


def _pair(
    amax: float, dtype: DType, *, low: int = -128, rank: int = 2, axis: int | None = None
) -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(dtype, (3,) * rank))
    scale = graph.constant(np.full((3,) * (axis is not None), amax / 127, np.float32))
    q = graph.add(ops.Quantize(x, scale, axis=axis, low=low))
    y = graph.add(ops.Dequantize(q, scale, axis=axis, dtype=dtype))
    graph.set_outputs([y], ["y"])
    return graph


def test_scales_are_of_the_tensors_type_where_they_must() -> None:
    """TensorRT 10 takes no scale of float32 beside half; what half cannot hold is cast around."""
    assert layers(_pair(4, DType.FLOAT16))["CAST"] == 0
    assert layers(_pair(4, DType.FLOAT16), LIKE_10)["CAST"] == 2  # two scales
    assert layers(_pair(1e-3, DType.FLOAT16))["CAST"] == 0
    assert layers(_pair(1e-3, DType.FLOAT16), LIKE_10)["CAST"] == 2  # to float32 and back
    assert layers(_pair(4, DType.FLOAT32), LIKE_10)["CAST"] == 0


def test_fewer_integers_are_cut_before() -> None:
    assert layers(_pair(4, DType.FLOAT32))["ELEMENTWISE"] == 0
    assert layers(_pair(4, DType.FLOAT32, low=-127))["ELEMENTWISE"] == 1
    assert layers(_pair(4, DType.FLOAT16, low=-5))["ELEMENTWISE"] == 1


def _scale_from_outside() -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (3,)))
    scale = graph.add_input("scale", TensorType(DType.FLOAT32, ()))
    graph.set_outputs([graph.add(ops.Dequantize(graph.add(ops.Quantize(x, scale)), scale))], ["y"])
    return graph


def _read(read: Any) -> Graph:
    graph = _pair(4, DType.FLOAT32)
    [node] = [node for node in graph if isinstance(node.op, ops.Quantize)]
    graph.set_outputs([graph.outputs[0], read(graph, node.output)], ["y", "z"])
    return graph


def _asymmetric(kind: Any) -> Graph:
    q = Quantizing("zeros", 4, 8)
    scale, zero = q.graph.constant(np.float32(0.03)), q.graph.constant(np.int32(3))
    if kind is ops.Quantize:
        held = q.graph.add(ops.Quantize(q.x, scale, zero))
        return q.finish(q.graph.add(ops.Dequantize(held, scale)))
    held = q.graph.add(ops.Quantize(q.x, scale))
    return q.finish(q.graph.add(ops.Dequantize(held, scale, zero)))


def _integers_from_outside() -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT8, (3,)))
    graph.set_outputs([graph.add(ops.Dequantize(x, graph.constant(np.float32(2))))], ["y"])
    return graph


@pytest.mark.parametrize(
    "make",
    [
        _scale_from_outside,
        _integers_from_outside,
        lambda: _pair(4, DType.FLOAT32, rank=0),
        lambda: _pair(4, DType.FLOAT32, axis=1),
        lambda: _read(lambda graph, q: q),
        lambda: _read(lambda graph, q: graph.add(ops.Cast(q, DType.INT32))),
        lambda: _asymmetric(ops.Quantize),
        lambda: _asymmetric(ops.Dequantize),
    ],
)
def test_what_tensorrt_does_not_quantize_is_composed(make: Any) -> None:
    found = layers(make())
    assert found["QUANTIZE"] == found["DEQUANTIZE"] == 0


def test_a_network_tells_whether_it_holds_8_bits() -> None:
    plain = Graph()
    x: Value = plain.add_input("x", TensorType(DType.FLOAT32, (3,)))
    plain.set_outputs([plain.add(ops.Relu(x))], ["y"])
    for graph, quantized in ((plain, False), (_pair(4, DType.FLOAT32), True)):
        with network(graph) as ctx:
            assert ctx.quantized is quantized
