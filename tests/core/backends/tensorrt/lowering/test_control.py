"""Operators that hold graphs: conditionals of the network, and where both branches are computed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from control_graphs import IFS, Sample, if_, is_positive
from operator_cases import BATCH, STATIC
from tensorrt_networks import LIKE_8, LIKE_10, build, compiled, layers, network

from fwd_core.errors import BuildError
from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops

SAMPLES = {sample.id: sample for sample in IFS}


def graph_of(sample: Sample, batch: Dim) -> Graph:
    graph = Graph("one")
    kinds = [TensorType(DType.of(sample.dtypes[0]), shape) for shape in sample.shapes(batch)]
    condition = graph.add_input("condition", TensorType(DType.BOOL, ()))
    values = [graph.add_input(f"x{index}", kind) for index, kind in enumerate(kinds)]
    results = graph.add_all(sample.make(condition, *values), name="if")
    graph.set_outputs(results, [f"y{index}" for index in range(len(results))])
    return graph.verify()


@pytest.mark.parametrize("batch", [STATIC, BATCH], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", ["several results", "products", "sizes", "nested", "constants"])
def test_half(name: str, batch: Dim) -> None:
    build(graph_of(SAMPLES[name], batch), "float16")


def test_products_in_branches_compute_in_half() -> None:
    graph = Graph("products")
    condition = graph.add_input("condition", TensorType(DType.BOOL, ()))
    x, w = (graph.add_input(name, TensorType(DType.FLOAT32, (64, 64))) for name in "xw")
    sample = SAMPLES["products"]
    graph.set_outputs(graph.add_all(sample.make(condition, x, w), name="if"), ["y"])
    products = [layer for layer in compiled(graph, "float16") if layer.is_product]
    assert len(products) == 2
    assert {layer.product_dtype for layer in products} == {"Half"}


@pytest.mark.parametrize(
    ("name", "batch", "conditionals"),
    [
        ("several results", BATCH, 1),
        ("nested", STATIC, 2),
        ("nested", BATCH, 1),  # the inner one; of the outer one both branches are computed
    ],
)
def test_what_becomes_a_conditional(name: str, batch: Dim, conditionals: int) -> None:
    graph = graph_of(SAMPLES[name], batch)
    with network(graph) as ctx:
        assert len(layers(ctx, "IConditionLayer")) == conditionals
        assert len(layers(ctx, "ISelectLayer")) == 2 - conditionals if name == "nested" else 1
    kept = sum(isinstance(node.op, ops.If) for node in graph.walk())
    assert kept == conditionals


@pytest.mark.parametrize("features", [LIKE_8, LIKE_10], ids=["like-8", "like-10"])
def test_other_flavours_nest(features: object) -> None:
    with network(graph_of(SAMPLES["nested"], BATCH), features) as ctx:  # type: ignore[arg-type]
        assert len(layers(ctx, "IConditionLayer")) == 2


def test_sizes_enter_through_layers_of_the_conditional() -> None:
    def made(graph: Graph, x: Value) -> list[Value]:
        total = graph.add(ops.ReduceSum(x, (0, 1)))  # nothing that has the batch is left
        return [graph.add(ops.Expand(total, (BATCH, 2)))]

    graph = Graph("sizes")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (BATCH, 3)))
    y = graph.add(ops.ReduceSum(x, (0,)), name="y")
    z = graph.add(ops.Reshape(y, (1, 3)), name="z")
    graph.set_outputs(graph.add_all(if_(is_positive(graph, x), made, made, z), name="if"), ["y"])
    with network(graph) as ctx:
        kinds = [ctx.network.get_layer(i).type.name for i in range(ctx.network.num_layers)]
    assert kinds.count("CONDITIONAL_INPUT") == 3, "z, and the size for each branch"
    build(graph)


def test_an_error_inside_names_its_node() -> None:
    def deep(graph: Graph, x: Value) -> list[Value]:
        far = graph.add(ops.Reshape(x, (1,) * 9), name="far")
        return [graph.add(ops.Reshape(far, (1, 1)), name="back")]

    graph = Graph("deep")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (1, 1)))
    results = graph.add_all(if_(is_positive(graph, x), deep, lambda _, x: [x], x), name="if")
    graph.set_outputs(results, ["y"])
    with pytest.raises(BuildError, match=r"tensors of 8 axes at most\n  at far"):
        build(graph)


def test_numbers_that_do_not_fit_are_told_with_their_node() -> None:
    def far(graph: Graph, x: Value) -> list[Value]:
        number = graph.constant(np.array([2**40]), name="number")
        return [graph.add(ops.Add(x, number), name="sum")]

    graph = Graph("far")
    x = graph.add_input("x", TensorType(DType.INT64, (1,)))
    condition = graph.add_input("condition", TensorType(DType.BOOL, ()))
    graph.set_outputs(graph.add_all(if_(condition, far, lambda _, x: [x], x), name="if"), ["y"])
    with pytest.raises(BuildError, match="does not fit int32"), network(graph, LIKE_8):
        pass
