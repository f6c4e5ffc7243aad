"""What the layers of a weakly typed network ask to compute in."""

from __future__ import annotations

import numpy as np
import pytest
from tensorrt_networks import LIKE_8, PLUGINS

from fwd_core.backends.tensorrt.constraints import asked
from fwd_core.backends.tensorrt.library import Library, load
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.network import make_network
from fwd_core.events import Events
from fwd_core.ir import DType, Graph, Node, Operator, TensorType, Value, ops

X = TensorType(DType.FLOAT32, (2, 3, 4))
HALF = TensorType(DType.FLOAT16, X.shape)
SINGLE = {
    "exponentials": lambda x: ops.Exp(x),
    "sums": lambda x: ops.ReduceSum(x, (1,)),
    "arithmetic": lambda x: ops.Mul(x, x),
    "what moves": lambda x: ops.Transpose(x, (1, 0, 2)),
}
HALVES = {
    "norms": lambda x: ops.LayerNorm(x, scale=None, shift=None, axes=1, epsilon=1e-5),
    "softmax": lambda x: ops.Softmax(x, 2),
    "means": lambda x: ops.ReduceMean(x, (1,)),
}


def _node(operator: Operator, graph: Graph) -> Node:
    made = graph.add(operator)
    value = made if isinstance(made, Value) else made[0]
    assert value.producer is not None
    return value.producer


@pytest.mark.parametrize("make", SINGLE.values(), ids=SINGLE)
def test_layers_ask_for_what_the_graph_has(make) -> None:  # type: ignore[no-untyped-def]
    graph = Graph()
    assert asked(_node(make(graph.add_input("x", X)), graph)) is DType.FLOAT32
    half = _node(make(graph.add_input("half", HALF)), graph)
    assert asked(half) is DType.FLOAT16
    assert asked(half, wide=True) is DType.FLOAT32


@pytest.mark.parametrize("make", HALVES.values(), ids=HALVES)
def test_what_adds_up_in_float32_by_itself_asks_for_half(make) -> None:  # type: ignore[no-untyped-def]
    graph = Graph()
    for name, kind in (("x", X), ("half", HALF)):
        node = _node(make(graph.add_input(name, kind)), graph)
        assert asked(node) is asked(node, wide=True) is DType.FLOAT16


@pytest.mark.parametrize("make", [lambda x: ops.ReduceMean(x, (2, 3), keepdims=True),
                                  lambda x: ops.AdaptiveAveragePool(x, (1, 1))])  # fmt: skip
def test_means_of_images_ask_for_nothing(make) -> None:  # type: ignore[no-untyped-def]
    graph = Graph()
    for dtype in (DType.FLOAT32, DType.FLOAT16):
        x = graph.add_input(dtype.name, TensorType(dtype, (1, 2, 4, 4)))
        assert asked(_node(make(x), graph)) is None
        norm = _node(ops.ReduceMean(x, (3,), keepdims=True), graph)
        assert asked(norm) is DType.FLOAT16


def test_positions_ask_for_float32_and_convolutions_for_nothing() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT16, (1, 2, 4, 4)))
    kernel = graph.constant(np.ones((2, 2, 1, 1), np.float16))
    y = graph.add(ops.Convolution(x, kernel, None, (1, 1), (0, 0), (0, 0), (1, 1)))
    assert y.producer is not None
    assert asked(y.producer) is None
    resized = graph.add(ops.Resize(y, (8, 8), "nearest"))
    assert resized.producer is not None
    assert asked(resized.producer) is DType.FLOAT32


def test_integers_ask_for_nothing() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT32, (2,)))
    assert asked(_node(ops.Add(x, x), graph)) is None
    constant = graph.constant(np.ones(3, np.int32)).producer
    assert constant is not None
    assert asked(constant) is None


def test_what_reads_or_makes_bytes_asks_for_nothing() -> None:
    graph = Graph()
    x = graph.add_input("x", HALF)
    scale = graph.constant(np.array(0.1, np.float32))
    before = _node(ops.Neg(x), graph)
    whole = graph.add(ops.Quantize(before.output, scale))
    y = graph.add(ops.Dequantize(whole, scale, dtype=DType.FLOAT16))
    reads = _node(ops.Add(y, x), graph)
    after = _node(ops.Relu(reads.output), graph)
    for node in (before, reads, after):
        assert asked(node) is None
    assert asked(_node(ops.Neg(after.output), graph)) is DType.FLOAT16


def test_beside_bytes_other_layers_ask_for_float32_alone() -> None:
    graph = Graph()
    x, half = graph.add_input("x", X), graph.add_input("half", HALF)
    assert asked(_node(ops.Exp(x), graph), bytewise=True) is DType.FLOAT32
    assert asked(_node(ops.Exp(half), graph), wide=True, bytewise=True) is DType.FLOAT32
    assert asked(_node(ops.Exp(half), graph), bytewise=True) is None
    assert asked(_node(HALVES["norms"](x), graph), bytewise=True) is None


def test_beside_bytes_attention_of_floats_asks_for_half() -> None:
    graph = Graph()

    def attention(x: Value) -> Node:
        return _node(ops.Attention(x, x, x), graph)

    kind = TensorType(DType.FLOAT16, (1, 2, 8, 16))
    half = graph.add_input("half", kind)
    assert asked(attention(half), bytewise=True) is DType.FLOAT16
    assert asked(attention(half), wide=True, bytewise=True) is DType.FLOAT32
    assert asked(attention(half), squares=True, bytewise=True) is DType.FLOAT32
    single = graph.add_input("single", TensorType(DType.FLOAT32, kind.shape))
    assert asked(attention(single), bytewise=True) is DType.FLOAT32
    scale = graph.constant(np.array(0.1, np.float32))
    whole = graph.add(ops.Quantize(half, scale))
    stepped = graph.add(ops.Dequantize(whole, scale, dtype=DType.FLOAT16))
    assert asked(attention(stepped), bytewise=True) is None


def test_beside_bytes_what_moves_asks_for_what_made_it_did() -> None:
    graph = Graph()
    x = graph.add_input("x", X)

    def moved(value: Value) -> Node:
        turned = graph.add(ops.Transpose(value, (1, 0, 2)))
        return _node(ops.Squeeze(graph.add(ops.Slice(turned, 0, 0, 1, 1)), (0,)), graph)

    norm = _node(HALVES["norms"](x), graph).output
    for value, wanted in (
        (norm, None),
        (graph.add(ops.Exp(x)), DType.FLOAT32),
        (x, DType.FLOAT32),
        (graph.constant(np.ones(X.static_shape(), np.float32)), None),
    ):
        assert asked(moved(value), bytewise=True) is wanted
        assert asked(moved(value)) is DType.FLOAT32
    for _ in range(200):  # each twice what the one before is: paths are too many to walk all
        norm = graph.add(ops.Concat((norm, norm), 0))
        norm = graph.add(ops.Slice(norm, 0, 0, X.shape[0], 1))
    assert asked(_node(ops.Squeeze(norm, ()), graph), bytewise=True) is None


def test_squares_of_a_composed_norm_ask_for_float32() -> None:
    graph = Graph()
    node = _node(HALVES["norms"](graph.add_input("x", X)), graph)
    assert asked(node) is DType.FLOAT16
    assert asked(node, squares=True) is DType.FLOAT32
    assert asked(node, squares=True, bytewise=True) is DType.FLOAT32


def test_half_is_float32_in_a_network_that_narrows() -> None:
    pytest.importorskip("tensorrt_rtx")
    graph = Graph()
    x, half = graph.add_input("x", X), graph.add_input("half", HALF)
    narrow = graph.add(ops.Cast(x, DType.FLOAT16))
    scaled = graph.add(ops.Mul(narrow, graph.constant(np.ones(4, np.float16))))
    y = graph.add(ops.Add(scaled, half))
    graph.set_outputs([y, graph.add(ops.Cast(y, DType.FLOAT32))], ["y", "z"])
    rtx = load("tensorrt_rtx")
    library = Library(rtx.trt, LIKE_8, rtx.version)
    with listen(library.trt) as record:
        builder = library.trt.Builder(logger(library.trt))
        builder.error_recorder = record.recorder
        ctx = make_network(
            graph, library, builder, PLUGINS.lowerings, record, Events(), narrows=True
        )
        single = library.trt.DataType.FLOAT
        assert {ctx[value].dtype for value in (x, narrow, scaled, y)} == {single}
        ends = [ctx.network.get_input(1).dtype, ctx.network.get_output(0).dtype]
        assert ends == [library.trt.DataType.HALF] * 2  # as the model has them
        kinds = [ctx.network.get_layer(i).type.name for i in range(ctx.network.num_layers)]
        assert kinds.count("CAST") == 2
