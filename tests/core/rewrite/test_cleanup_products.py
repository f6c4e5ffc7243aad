"""Products in the form that backends like: what changes, what stays, and the names."""

from __future__ import annotations

import numpy as np

from fwd_core import rewrite
from fwd_core.ir import DType, Graph, TensorType, Value, ops, symbol
from fwd_core.rewrite import cleanup
from fwd_core.rewrite.cleanup.products import AbsorbTransposes, ReshapeBeforeLinear

F32 = DType.FLOAT32
BATCH = symbol("batch", 1, 4, 8)


def _linear(graph: Graph, x: Value, out: int) -> Value:
    features = x.type.shape[-1]
    assert isinstance(features, int)
    weight = graph.constant(np.ones((out, features), np.float32), name="weight")
    return graph.add(ops.Linear(x, weight), name="linear")


def test_flattened_linear_works_on_the_original_axes() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(F32, (BATCH, 5, 6)))
    flat = graph.add(ops.Reshape(x, (BATCH * 5, 6)), name="flat")
    restored = graph.add(ops.Reshape(_linear(graph, flat, 7), (BATCH, 5, 7)), name="restored")
    graph.set_outputs([restored], ["y"])
    counts = rewrite.run(graph, cleanup.all_rewrites(), verify=True)
    assert counts["reshape-before-linear"] == 1
    (node,) = [node for node in graph if isinstance(node.op, ops.Linear)]
    assert node.op.operands().__next__() is x
    assert graph.outputs[0].name == "restored"
    assert not any(isinstance(node.op, ops.Reshape) for node in graph)


def test_linear_that_others_read_keeps_its_shape() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(F32, (2, 5, 6)))
    product = _linear(graph, graph.add(ops.Reshape(x, (10, 6))), 7)
    graph.set_outputs([graph.add(ops.Reshape(product, (2, 5, 7))), product], ["a", "b"])
    assert ReshapeBeforeLinear().apply(graph) == 0


def test_reshape_that_splits_features_stays_after_the_product() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(F32, (2, 5, 6)))
    product = _linear(graph, graph.add(ops.Reshape(x, (10, 6))), 8)
    graph.set_outputs([graph.add(ops.Reshape(product, (10, 2, 4)))], ["y"])
    assert ReshapeBeforeLinear().apply(graph) == 0


def test_swapped_operands_become_flags() -> None:
    graph = Graph()
    a = graph.add_input("a", TensorType(F32, (3, 4, 5)))
    b = graph.add_input("b", TensorType(F32, (3, 6, 4)))
    at = graph.add(ops.Transpose(a, (0, 2, 1)))
    bt = graph.add(ops.Transpose(b, (0, 2, 1)))
    graph.set_outputs([graph.add(ops.MatMul(at, bt), name="product")], ["y"])
    rewrite.run(graph, cleanup.all_rewrites(), verify=True)
    (node,) = list(graph)
    assert isinstance(node.op, ops.MatMul)
    assert (node.op.a, node.op.transpose_a) == (a, True)
    assert (node.op.b, node.op.transpose_b) == (b, True)
    assert node.name == "product"


def test_a_flag_and_a_swap_cancel() -> None:
    graph = Graph()
    a = graph.add_input("a", TensorType(F32, (4, 5)))
    b = graph.add_input("b", TensorType(F32, (5, 6)))
    bt = graph.add(ops.Transpose(b, (1, 0)))
    graph.set_outputs([graph.add(ops.MatMul(a, bt, transpose_b=True))], ["y"])
    assert AbsorbTransposes().apply(graph) == 1
    op = graph.outputs[0].producer
    assert op is not None
    assert isinstance(op.op, ops.MatMul)
    assert op.op.transpose_b is False


def test_transposes_of_other_axes_stay() -> None:
    graph = Graph()
    a = graph.add_input("a", TensorType(F32, (3, 4, 5)))
    b = graph.add_input("b", TensorType(F32, (5, 3, 6)))
    moved = graph.add(ops.Transpose(b, (1, 0, 2)))
    graph.set_outputs([graph.add(ops.MatMul(a, moved))], ["y"])
    assert AbsorbTransposes().apply(graph) == 0
