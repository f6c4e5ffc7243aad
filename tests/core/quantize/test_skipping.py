"""What a user keeps in float, and what the rules keep in float."""

from __future__ import annotations

import pytest
from blocks import transformer_block
from control_graphs import if_, is_positive
from nets import Net, everything, lines

from fwd_core.errors import OptionError
from fwd_core.ir import Graph, Location, Value, ops, symbol
from fwd_core.quantize.placement import place, quantizable

HELD = "the products of attention stay in float unless attention=True"


def _encoder() -> Graph:
    net = Net()
    x = net.input(2, 4)
    for index in (1, 11):
        place_ = Location(module=f"encoder.layer.{index}.dense")
        weight = net.constant(4, 4, name=f"encoder.layer.{index}.dense.weight")
        name = f"encoder.layer.{index}.dense/linear"
        x = net.graph.add(ops.Linear(x, weight), name=name, location=place_)
    return net.finish(net.linear(x, "head/linear"))


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("head.*", ["head/linear"]),
        ("head", ["head/linear"]),
        ("head/linear", ["head/linear"]),
        ("encoder.layer.11.*", ["encoder.layer.11.dense/linear"]),
        ("encoder.layer.1", ["encoder.layer.1.dense/linear"]),
        ("*.dense", ["encoder.layer.1.dense/linear", "encoder.layer.11.dense/linear"]),
    ],
)
def test_patterns_are_of_names_and_modules(pattern: str, kept: list[str]) -> None:
    graph = _encoder()
    names = quantizable(graph, skip=[pattern])
    assert len(names) == 3 - len(kept)
    placement = place(graph, everything(graph), skip=[pattern])
    assert placement.floats == dict.fromkeys(kept, f"kept in float by {pattern!r}")
    assert list(placement.scales) == names
    assert placement.coverage == pytest.approx(1 - len(kept) / 3)


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    graph = _encoder()
    before = str(graph)
    with pytest.raises(OptionError) as caught:
        place(graph, {}, skip=["head", "encodr.layer.11.*"])
    assert str(caught.value).splitlines() == [
        "skip: no node matches 'encodr.layer.11.*'",
        "  Hint: did you mean 'encoder.layer.11' or 'encoder.layer.1' or 'encoder.layer'?",
    ]
    with pytest.raises(OptionError, match="`fwd inspect MODEL --input … --tensors` prints"):
        quantizable(graph, skip=["0"])
    assert str(graph) == before


def test_a_single_pattern_is_no_list() -> None:
    with pytest.raises(OptionError) as caught:
        place(_encoder(), {}, skip="head")
    assert str(caught.value).splitlines() == [
        "skip",
        "  expected: a list of patterns",
        "  got:      'head'",
        "  Hint: skip=['head']",
    ]


def test_what_is_kept_in_float_hands_on_floats() -> None:
    net = Net()
    pool = net.pool(net.conv(net.input(1, 2, 4, 4), "one"), "pool")
    graph = net.finish(net.conv(pool, "two"))
    placement = place(graph, everything(graph), skip=["pool"])
    assert lines(graph, ops.MaxPool) == ["pool = MaxPool(one)"]
    assert placement.floats == {"pool": "kept in float by 'pool'"}
    assert list(placement.scales) == ["x", "pool"]


@pytest.mark.parametrize("fused", [False, True])
def test_a_transformer_keeps_attention_statistics_and_tables(fused: bool) -> None:
    graph = transformer_block(symbol("batch", 1, 2, 4), fused=fused)
    attention = [n.name for n in graph if isinstance(n.op, (ops.MatMul, ops.Attention))]
    placement = place(graph, everything(graph))
    graph.verify()
    assert placement.coverage == 1.0
    assert len(placement.products) == 13  # six per layer, and the pooler
    assert [name for name, why in placement.floats.items() if why == HELD] == attention
    for node in graph:
        if isinstance(node.op, (ops.LayerNorm, ops.Softmax, ops.Gather, ops.Add, ops.Attention)):
            assert node.name in placement.floats
            assert not any(value.name.endswith("/dequantized") for value in node.op.operands())


def test_attention_is_quantized_when_it_is_asked_for() -> None:
    batch = symbol("batch", 1, 2, 4)
    graph = transformer_block(batch, fused=True)
    placement = place(graph, everything(graph), attention=True)
    node = next(node for node in graph.verify() if isinstance(node.op, ops.Attention))
    assert placement.quantized[node.name] == "Attention"
    assert placement.coverage == 1.0
    assert isinstance(node.op, ops.Attention)
    for value in (node.op.query, node.op.key, node.op.value):
        while isinstance(value.producer.op, (ops.Transpose, ops.Reshape)):  # type: ignore[union-attr]
            value = value.producer.op.x  # type: ignore[union-attr]
        assert value.name.endswith("/dequantized")

    graph = transformer_block(batch, fused=False)
    placement = place(graph, everything(graph), attention=True)
    products = [node.name for node in graph.verify() if isinstance(node.op, ops.MatMul)]
    assert all(placement.quantized[name] == "MatMul" for name in products)
    weights = [node.name for node in graph if isinstance(node.op, ops.Softmax)]
    assert len(weights) == 2
    assert set(weights) <= set(placement.scales)


def test_a_product_of_two_tensors_away_from_a_softmax_is_no_attention() -> None:
    net = Net()
    a, b = net.input(3, 4, name="a"), net.input(4, 5, name="b")
    product = net.add(ops.MatMul(a, b), "product")
    norm = net.add(ops.Softmax(net.linear(net.add(ops.Relu(product), "relu"), "fc"), 1), "softmax")
    graph = net.finish(norm)
    placement = place(graph, everything(graph))
    assert placement.quantized == {"product": "MatMul", "fc": "Linear"}


def test_graphs_of_branches_are_left_alone() -> None:
    net = Net()
    x = net.input(2, 4)

    def body(graph: Graph, inner: Value) -> list[Value]:
        weight = net.numbers.standard_normal((4, 4)).astype("float32")
        return [graph.add(ops.Linear(inner, graph.constant(weight)), name="inside")]

    op = if_(is_positive(net.graph, x), body, body, x)
    (chosen,) = net.graph.add_all(op, name="chosen")
    graph = net.finish(net.linear(chosen, "fc"))
    inner = [str(one) for node in graph for one in node.op.graphs()]
    assert quantizable(graph) == [chosen.name]
    placement = place(graph, everything(graph))
    assert [str(one) for node in graph.verify() for one in node.op.graphs()] == inner
    assert placement.floats[chosen.name] == "graphs of branches are left alone"
    assert placement.quantized == {"fc": "Linear"}
    assert list(placement.scales) == [chosen.name]
