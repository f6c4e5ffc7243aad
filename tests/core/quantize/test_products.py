"""What convolutions and matrix products read once a graph is quantized."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from nets import Net, everything, lines

from fwd_core.errors import CalibrationError
from fwd_core.ir import DType, Graph, Tensor, Value, ops
from fwd_core.quantize.placement import place, quantizable


def _scales(graph: Graph, name: str) -> list[float]:
    constant = graph.value(f"{name}/scale").constant
    assert constant is not None
    return constant.numpy().tolist()  # type: ignore[no-any-return]


def test_a_convolution_reads_input_and_weight_in_int8() -> None:
    net = Net()
    x = net.input(1, 1, 2, 2)
    data = np.array([[[[127.0]]], [[[-25.4]]]], np.float32)
    weight = net.graph.constant(Tensor(data), name="conv.weight")
    graph = net.finish(net.conv(x, "conv", 2, weight=weight))
    assert quantizable(graph) == ["x"]
    placement = place(graph, {"x": 63.5})
    assert str(graph.verify()).splitlines() == [
        "graph net(%x: float32[1, 1, 2, 2]) {",
        "  %conv.weight = [[[[127.0]]], [[[-25.399999618530273]]]] : float32[2, 1, 1, 1]",
        "  %x/scale = 0.5 : float32[]",
        "  %x/quantized = Quantize(%x, %x/scale, axis=None, low=-128, high=127, dtype=int8)"
        " : int8[1, 1, 2, 2]",
        "  %x/dequantized = Dequantize(%x/quantized, %x/scale, axis=None, dtype=float32)"
        " : float32[1, 1, 2, 2]",
        "  %conv.weight/scale = [1.0, 0.20000000298023224] : float32[2]",
        "  %conv.weight/quantized = Quantize(%conv.weight, %conv.weight/scale, axis=0, low=-128,"
        " high=127, dtype=int8) : int8[2, 1, 1, 1]",
        "  %conv.weight/dequantized = Dequantize(%conv.weight/quantized, %conv.weight/scale,"
        " axis=0, dtype=float32) : float32[2, 1, 1, 1]",
        "  %conv = Convolution(%x/dequantized, %conv.weight/dequantized, stride=[1, 1],"
        " padding_before=[0, 0], padding_after=[0, 0], dilation=[1, 1], groups=1)"
        " : float32[1, 2, 2, 2]",
        "  return y0=%conv",
        "}",
    ]
    assert placement.quantized == {"conv": "Convolution"}
    assert placement.scales == {"x": 0.5}
    assert placement.weights == {"conv.weight": 2}
    assert placement.coverage == 1.0


_Make = Callable[[Net], Value]


@pytest.mark.parametrize(
    ("make", "axis", "over"),
    [
        (lambda net: net.conv(net.input(1, 2, 5), "p"), 0, (1, 2)),
        (lambda net: net.conv(net.input(1, 2, 5, 5, 5), "p", kernel=3), 0, (1, 2, 3, 4)),
        (lambda net: net.conv(net.input(1, 4, 5, 5), "p", groups=2), 0, (1, 2, 3)),
        (lambda net: net.conv(net.input(1, 4, 5, 5), "p", groups=4), 0, (1, 2, 3)),
        (lambda net: net.up(net.input(1, 3, 5, 5), "p"), 1, (0, 2, 3)),
        (lambda net: net.up(net.input(1, 4, 5, 5), "p", 6, groups=2), 1, (0, 2, 3)),
        (lambda net: net.linear(net.input(3, 5), "p"), 0, (1,)),
    ],
)
def test_weights_have_a_scale_per_output_channel(
    make: _Make, axis: int, over: tuple[int, ...]
) -> None:
    net = Net()
    graph = net.finish(make(net))
    place(graph, {"x": 1.0})
    pair = graph.value("p.weight/quantized").producer
    assert pair is not None
    assert isinstance(pair.op, ops.Quantize)
    assert pair.op.axis == axis
    weight = graph.value("p.weight").constant
    assert weight is not None
    expected = np.abs(weight.numpy()).max(axis=over) / 127
    np.testing.assert_allclose(_scales(graph, "p.weight"), expected, rtol=1e-6)
    assert graph.value("p").producer.op.weight.name == "p.weight/dequantized"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("shape", "swapped", "axis"),
    [((5, 4), False, 1), ((4, 5), True, 0), ((2, 5, 4), False, 2), ((2, 4, 5), True, 1)],
)
def test_a_matrix_has_a_scale_per_column_of_the_result(
    shape: tuple[int, ...], swapped: bool, axis: int
) -> None:
    net = Net()
    x, weight = net.input(2, 3, 5), net.constant(*shape, name="w")
    graph = net.finish(net.add(ops.MatMul(x, weight, transpose_b=swapped), "p"))
    place(graph, {"x": 1.0})
    assert graph.value("w/quantized").producer.op.axis == axis  # type: ignore[union-attr]
    assert len(_scales(graph, "w")) == 4


def test_a_constant_to_the_left_has_one_scale() -> None:
    net = Net()
    x, weight = net.input(5, 3), net.constant(4, 5, name="w")
    graph = net.finish(net.add(ops.MatMul(weight, x), "p"))
    place(graph, {"x": 1.0})
    assert graph.value("w/quantized").producer.op.axis is None  # type: ignore[union-attr]
    assert isinstance(_scales(graph, "w"), float)
    assert lines(graph, ops.MatMul) == ["p = MatMul(w/dequantized, x/dequantized)"]


def test_a_weight_that_is_computed_has_one_scale_by_its_range() -> None:
    net = Net()
    x, w = net.input(1, 2, 4, 4), net.input(4, 2, 1, 1, name="w")
    bias = net.input(4, name="bias")
    op = ops.Convolution(x, w, bias, (1, 1), (0, 0), (0, 0), (1, 1))
    graph = net.finish(net.add(op, "conv"))
    assert quantizable(graph) == ["x", "w"]
    place(graph, {"x": 127.0, "w": 254.0})
    assert lines(graph, ops.Convolution) == [
        "conv = Convolution(x/dequantized, w/dequantized, bias)"
    ]
    assert (_scales(graph, "x"), _scales(graph, "w")) == (1.0, 2.0)


def test_a_product_of_a_tensor_with_itself_has_one_pair() -> None:
    net = Net()
    x = net.input(3, 3)
    graph = net.finish(net.add(ops.MatMul(x, x, transpose_b=True), "p"))
    place(graph, {"x": 1.0})
    assert lines(graph) == [
        "x/quantized = Quantize(x, x/scale)",
        "x/dequantized = Dequantize(x/quantized, x/scale)",
        "p = MatMul(x/dequantized, x/dequantized)",
    ]


def test_readers_share_one_pair_and_those_in_float_read_the_tensor() -> None:
    net = Net()
    x = net.input(2, 4)
    weight = net.constant(4, 4, name="tied")
    one = net.add(ops.Linear(x, weight), "one")
    two = net.add(ops.Linear(x, weight), "two")
    ids = net.input(3, name="ids", dtype=DType.INT64)
    rows = net.add(ops.Gather(weight, ids, 0), "rows")
    norm = net.add(ops.Softmax(x, 1), "softmax")
    graph = net.finish(one, two, rows, norm)
    place(graph, {"x": 1.0})
    assert lines(graph, ops.Quantize) == [
        "x/quantized = Quantize(x, x/scale)",
        "tied/quantized = Quantize(tied, tied/scale)",
    ]
    assert lines(graph, ops.Linear, ops.Gather, ops.Softmax) == [
        "one = Linear(x/dequantized, tied/dequantized)",
        "two = Linear(x/dequantized, tied/dequantized)",
        "rows = Gather(tied, ids)",
        "softmax = Softmax(x)",
    ]


def test_a_weight_has_a_pair_for_each_axis_it_is_read_by() -> None:
    net = Net()
    x, weight = net.input(2, 4), net.constant(4, 4, name="w")
    one, two = net.add(ops.Linear(x, weight), "one"), net.add(ops.MatMul(x, weight), "two")
    graph = net.finish(one, two)
    place(graph, {"x": 1.0})
    axes = [node.op.axis for node in graph if isinstance(node.op, ops.Quantize)]
    assert axes == [None, 0, 1]


def test_a_channel_of_zeros_has_a_valid_scale_and_stays_zeros() -> None:
    net = Net()
    x = net.input(2, 3)
    data = np.array([[0, 0, 0], [1, -2, 0]], np.float32)
    weight = net.graph.constant(Tensor(data), name="w")
    graph = net.finish(net.add(ops.Linear(x, weight), "p"))
    placement = place(graph, {"x": 1.0})
    np.testing.assert_allclose(_scales(graph, "w"), [1.0, 2 / 127], rtol=1e-6)
    assert placement.quantized == {"p": "Linear"}


@pytest.mark.parametrize(
    ("amax", "why"),
    [
        (0.0, "it was always 0"),
        (-1.0, "its range is -1.0"),
        (math.nan, "its range is nan"),
        (math.inf, "its range is inf"),
        (1e-40, "its range of 1e-40 is as good as 0"),
        (1e39, "its range of 1e+39 is beyond float32"),
    ],
)
def test_a_range_that_is_none_leaves_the_product_in_float(amax: float, why: str) -> None:
    net = Net()
    graph = net.finish(net.linear(net.input(2, 3), "p"))
    before = str(graph)
    placement = place(graph, {"x": amax})
    assert str(graph) == before
    assert placement.unquantized == {"x": why}
    assert placement.floats == {"p": f"%x stays in float: {why}"}
    assert placement.coverage == 0.0


def test_a_product_without_all_ranges_reads_nothing_in_int8() -> None:
    net = Net()
    a, b = net.input(2, 3, name="a"), net.input(3, 2, name="b")
    graph = net.finish(net.add(ops.MatMul(a, b), "p"))
    before = str(graph)
    placement = place(graph, {"a": 1.0, "other": 2.0})
    assert str(graph) == before
    assert placement.unquantized == {"b": "it has no range"}


def test_a_weight_that_is_not_finite_leaves_the_product_in_float() -> None:
    net = Net()
    x = net.input(2, 2)
    weight = net.graph.constant(Tensor(np.array([[1, np.nan]], np.float32)), name="w")
    graph = net.finish(net.add(ops.Linear(x, weight), "p"))
    placement = place(graph, {"x": 1.0})
    assert placement.unquantized == {"w": "it holds numbers that are not finite"}


def test_other_types_stay_as_they_are() -> None:
    net = Net()
    x = net.input(2, 2, dtype=DType.INT64)
    half = net.input(2, 2, name="half", dtype=DType.FLOAT16)
    product = net.add(ops.MatMul(x, x), "integers")
    graph = net.finish(product, net.add(ops.MatMul(half, half), "halves"))
    assert quantizable(graph) == []
    placement = place(graph, everything(graph))
    assert placement.floats == {"halves": "computes in float16"}
    assert placement.products == ("halves",)


def test_a_graph_is_placed_once() -> None:
    net = Net()
    graph = net.finish(net.linear(net.input(2, 3), "p"))
    place(graph, {"x": 1.0})
    with pytest.raises(CalibrationError) as caught:
        place(graph, {"x": 1.0})
    assert str(caught.value).splitlines() == [
        "graph 'net' has been quantized already",
        "  got:      %x has a pair",
        "  Hint: place once, with all ranges; for other ranges import the model again",
    ]
    with pytest.raises(CalibrationError, match="has been quantized already"):
        quantizable(graph)
