"""Quantized graphs in half: 8 bits have their place between halves, without a cast."""

from __future__ import annotations

import numpy as np
import pytest
from quantized_graphs import GRAPHS, residual

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.rewrite.precision import narrow_float64, to_half

SINGLE, HALF = DType.FLOAT32, DType.FLOAT16


def test_no_cast_is_between_products() -> None:
    graph = residual()
    to_half(graph)
    graph.verify()
    kinds = [type(node.op) for node in graph]
    assert kinds.count(ops.Cast) == 1  # the output is float32
    pairs = [node.op for node in graph if isinstance(node.op, ops.Dequantize)]
    assert {op.dtype for op in pairs} == {HALF}
    assert {op.scale.type.dtype for op in pairs} == {SINGLE}
    products = [node for node in graph if isinstance(node.op, ops.Convolution)]
    assert {node.output.type.dtype for node in products} == {HALF}
    inputs = {x.op.x.type.dtype for x in graph if isinstance(x.op, ops.Quantize)}
    assert inputs == {SINGLE, HALF}  # the graph's input is quantized as it is


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_stay_well_formed(name: str) -> None:
    graph = GRAPHS[name][0]()
    kinds = [value.type for value in graph.outputs]
    assert to_half(graph) > 0
    assert [value.type for value in graph.verify().outputs] == kinds


def _dequantized(amax: float, dtype: DType = SINGLE) -> tuple[Graph, Value]:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT8, (2, 4)))
    scale = graph.constant(np.float32(amax / 127))
    y = graph.add(ops.Dequantize(x, scale, dtype=dtype), name="y")
    graph.set_outputs([y], ["out"])
    return graph, y


@pytest.mark.parametrize(("amax", "dtype"), [(100, HALF), (32000, HALF), (70000, SINGLE)])
def test_what_half_cannot_hold_stays(amax: float, dtype: DType) -> None:
    graph, _ = _dequantized(amax)
    to_half(graph)
    assert graph.verify().value("y").type.dtype is dtype
    assert graph.outputs[0].type.dtype is SINGLE


def test_types_that_were_said_stay() -> None:
    graph, y = _dequantized(1, DType.BFLOAT16)
    to_half(graph)
    assert graph.verify().outputs == (y,) or list(graph.outputs) == [y]
    assert y.type.dtype is DType.BFLOAT16


def test_a_scale_from_outside_stays_single() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 4)))
    scale = graph.add_input("scale", TensorType(SINGLE, ()))
    q = graph.add(ops.Quantize(graph.add(ops.Gelu(x)), scale))
    graph.set_outputs([graph.add(ops.Dequantize(q, scale), name="y")], ["out"])
    to_half(graph)
    graph.verify()
    assert graph.value("y").type.dtype is SINGLE  # nothing says that half holds it
    [quantize] = [node.op for node in graph if isinstance(node.op, ops.Quantize)]
    assert quantize.x.type.dtype is HALF


@pytest.mark.filterwarnings("ignore::fwd_core.rewrite.precision.PrecisionWarning")
def test_float64_is_narrowed() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT64, (2,)))
    scale = graph.constant(np.float32(0.5))
    q = graph.add(ops.Quantize(graph.add(ops.Relu(x)), scale), name="q")
    y = graph.add(ops.Relu(graph.add(ops.Dequantize(q, scale, dtype=DType.FLOAT64), name="dq")))
    graph.set_outputs([y], ["out"])
    narrow_float64(graph)
    graph.verify()
    assert graph.value("dq").type.dtype is SINGLE
    assert graph.outputs[0].type.dtype is DType.FLOAT64
