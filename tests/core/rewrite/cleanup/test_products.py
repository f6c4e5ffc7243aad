"""Matrix products in the form that backends have the best kernels for."""

from __future__ import annotations

import pytest
from cleaning import apply, finish
from values import B, kind

from fwd_core.ir import Dim, Graph, ops
from fwd_core.rewrite.cleanup.products import AbsorbTransposes, ReshapeBeforeLinear


def _reshaped_linear(
    wanted: tuple[Dim, ...] = (B, 5, 4), out: int = 4, flatten: bool = True
) -> Graph:
    graph = Graph()
    x = graph.add_input("x", kind(B, 5, 3) if flatten else kind(B * 5, 3))
    weight, bias = graph.add_input("w", kind(out, 3)), graph.add_input("b", kind(out))
    rows = graph.add(ops.Reshape(x, (B * 5, 3)), name="rows") if flatten else x
    product = graph.add(ops.Linear(rows, weight, bias), name="linear")
    return finish(graph, graph.add(ops.Reshape(product, wanted), name="restored"))


def test_a_reshape_moves_before_the_product() -> None:
    graph = _reshaped_linear()
    changed, left = apply(ReshapeBeforeLinear(), graph)
    assert changed == 1
    assert left == ["Reshape rows", "Linear linear", "Reshape restored/restored", "Linear restored"]
    assert not graph.value("linear").users
    assert graph.outputs[0].name == "restored"
    assert apply(ReshapeBeforeLinear(), graph)[0] == 0


@pytest.mark.parametrize(
    "graph",
    [
        _reshaped_linear(wanted=(B, 20)),  # the last axis is not that of the product
        _reshaped_linear(flatten=False),  # nothing was flattened
    ],
)
def test_other_reshapes_stay(graph: Graph) -> None:
    assert apply(ReshapeBeforeLinear(), graph)[0] == 0


def test_products_with_other_readers_stay() -> None:
    graph = _reshaped_linear()
    graph.add(ops.Neg(graph.value("linear")))
    assert apply(ReshapeBeforeLinear(), graph)[0] == 0
    graph = _reshaped_linear()
    graph.set_outputs([graph.value("linear"), *graph.outputs], ["a", "b"])
    assert apply(ReshapeBeforeLinear(), graph)[0] == 0


def test_a_product_without_columns_says_nothing_of_its_rows() -> None:
    graph = _reshaped_linear(wanted=(7, 0), out=0)
    assert apply(ReshapeBeforeLinear(), graph)[0] == 0


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("swapped", ["a", "b", "ab"])
def test_swaps_become_flags(swapped: str, transpose_a: bool, transpose_b: bool) -> None:
    graph = Graph()
    a = graph.add_input("a", kind(2, 4, 4))
    b = graph.add_input("b", kind(2, 4, 4))
    left = graph.add(ops.Transpose(a, (0, 2, 1)), name="ta") if "a" in swapped else a
    right = graph.add(ops.Transpose(b, (0, 2, 1)), name="tb") if "b" in swapped else b
    product = ops.MatMul(left, right, transpose_a, transpose_b)
    finish(graph, graph.add(product, name="mm"))
    assert apply(AbsorbTransposes(), graph)[0] == 1
    node = graph.value("mm").producer
    assert node is not None
    assert isinstance(node.op, ops.MatMul)
    assert (node.op.a, node.op.b) == (a, b)
    assert node.op.transpose_a is (transpose_a != ("a" in swapped))
    assert node.op.transpose_b is (transpose_b != ("b" in swapped))
    assert apply(AbsorbTransposes(), graph)[0] == 0


def test_other_orders_stay() -> None:
    graph = Graph()
    a = graph.add_input("a", kind(4, 4, 4))
    turned = graph.add(ops.Transpose(a, (1, 0, 2)))
    rolled = graph.add(ops.Transpose(a, (2, 0, 1)))
    finish(graph, graph.add(ops.MatMul(turned, rolled)), graph.add(ops.Relu(turned)))
    assert apply(AbsorbTransposes(), graph)[0] == 0
