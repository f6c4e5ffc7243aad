"""What pools, moves and joins, where a tensor is had in int8."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nets import Net, everything, lines

from fwd_core.ir import Value, ops
from fwd_core.quantize.placement import place, quantizable

_PAIR = ["{0}/quantized = Quantize({0}, {0}/scale)"]
_PAIR += ["{0}/dequantized = Dequantize({0}/quantized, {0}/scale)"]


def _pair(name: str) -> list[str]:
    return [line.format(name) for line in _PAIR]


@pytest.mark.parametrize(
    "make",
    [
        lambda net, x: net.pool(x, "p"),
        lambda net, x: net.add(ops.Transpose(x, (0, 1, 3, 2)), "p"),
        lambda net, x: net.add(ops.Reshape(x, (1, 4, 2, 8)), "p"),
        lambda net, x: net.add(ops.Slice(x, 2, 0, 2), "p"),
        lambda net, x: net.add(ops.Pad(x, (0, 0, 1, 1), (0, 0, 1, 1)), "p"),
    ],
)
def test_the_pair_stands_before_what_moves_the_numbers_of_a_kernel(
    make: Callable[[Net, Value], Value],
) -> None:
    net = Net()
    relu = net.add(ops.Relu(net.conv(net.input(1, 2, 4, 4), "one")), "relu")
    graph = net.finish(net.conv(make(net, relu), "two"))
    assert quantizable(graph) == ["x", "relu", "p"]
    placement = place(graph, {"x": 1.0, "relu": 2.0, "p": 2.54})
    kind = type(graph.value("p").producer.op).__name__  # type: ignore[union-attr]
    assert [line for line in lines(graph) if "weight/" not in line.partition("=")[0]] == [
        *_pair("x"),
        "one = Convolution(x/dequantized, one.weight/dequantized)",
        "relu = Relu(one)",
        *_pair("relu"),
        f"p = {kind}(relu/dequantized)",
        "two = Convolution(p, two.weight/dequantized)",
    ]
    assert placement.quantized["p"] == "hands on int8"
    assert placement.shared == (("relu", "p"),)
    assert placement.scales["relu"] == pytest.approx(0.02)
    assert placement.floats == {"relu": "fuses with what is before it, and the pair comes after it"}


def test_the_pair_stays_where_a_reader_wants_floats() -> None:
    net = Net()
    relu = net.add(ops.Relu(net.conv(net.input(1, 2, 4, 4), "one")), "relu")
    pool = net.pool(relu, "pool")
    graph = net.finish(net.conv(pool, "two"), pool)
    placement = place(graph, everything(graph))
    assert lines(graph, ops.MaxPool) == ["pool = MaxPool(relu)"]
    assert graph.outputs[1].name == "pool"
    assert list(placement.scales) == ["x", "pool"]
    assert placement.shared == ()
    assert placement.floats["pool"] == "what it moves is in float here"


def test_the_pair_stays_behind_what_moves_floats() -> None:
    net = Net()
    softmax = net.add(ops.Softmax(net.input(2, 3, 4), 2), "softmax")
    moved = net.add(ops.Reshape(softmax, (6, 4)), "moved")
    graph = net.finish(net.linear(moved, "fc"))
    assert quantizable(graph) == ["moved"]
    placement = place(graph, {"softmax": 1.0})  # which bounds what is moved
    assert list(placement.scales) == ["moved"]
    assert placement.floats["softmax"] == "exponentials stay in float"


def test_the_pair_stays_behind_what_resizes() -> None:
    net = Net()
    one = net.conv(net.input(1, 2, 4, 4), "one")
    graph = net.finish(net.conv(net.add(ops.Resize(one, (8, 8), "nearest"), "wide"), "two"))
    placement = place(graph, everything(graph))
    assert list(placement.scales) == ["x", "wide"]
    assert placement.quantized == {"one": "Convolution", "two": "Convolution"}


def test_padding_stays_part_of_its_convolution() -> None:
    net = Net()
    pad = net.add(ops.Pad(net.input(1, 2, 4, 4), (0, 0, 1, 1), (0, 0, 1, 1)), "pad")
    graph = net.finish(net.conv(pad, "conv"))
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Pad) == ["pad = Pad(x/dequantized)"]
    assert placement.quantized == {"pad": "hands on int8", "conv": "Convolution"}


def test_padding_with_another_number_has_a_range_of_its_own() -> None:
    net = Net()
    op = ops.Pad(net.input(1, 2, 4, 4), (0, 0, 1, 1), (0, 0, 1, 1), value=9.0)
    graph = net.finish(net.conv(net.add(op, "pad"), "conv"))
    placement = place(graph, {"x": 1.0})
    assert placement.unquantized == {"pad": "it has no range"}


def test_an_average_has_a_pair_before_and_after_it() -> None:
    net = Net()
    relu = net.add(ops.Relu(net.conv(net.input(1, 2, 4, 4), "one")), "relu")
    graph = net.finish(net.conv(net.pool(relu, "pool", ops.AveragePool), "two"))
    assert quantizable(graph) == ["x", "relu", "pool"]
    placement = place(graph, {"x": 1.0, "relu": 12.7, "pool": 6.35})
    assert lines(graph, ops.AveragePool) == ["pool = AveragePool(relu/dequantized)"]
    assert placement.quantized["pool"] == "average"
    assert placement.shared == ()
    assert placement.scales["relu"] == pytest.approx(0.1)
    assert placement.scales["pool"] == pytest.approx(0.05)


@pytest.mark.parametrize("but", ["relu", "pool"])
def test_an_average_stays_in_float_without_a_range_before_or_after(but: str) -> None:
    net = Net()
    relu = net.add(ops.Relu(net.conv(net.input(1, 2, 4, 4), "one")), "relu")
    graph = net.finish(net.conv(net.pool(relu, "pool", ops.AveragePool), "two"))
    placement = place(graph, everything(graph, but=[but]))
    assert lines(graph, ops.AveragePool) == ["pool = AveragePool(relu)"]
    assert placement.floats["pool"] == "what it averages is in float here"
    assert placement.unquantized == {but: "it has no range"}


def test_what_is_joined_shares_the_greatest_range() -> None:
    net = Net()
    x = net.input(1, 2, 4, 4)
    one, two = net.conv(x, "one"), net.conv(x, "two")
    joined = net.add(ops.Concat((one, two), 1), "joined")
    graph = net.finish(net.conv(joined, "three"))
    assert quantizable(graph) == ["x", "one", "two", "joined"]
    placement = place(graph, {"x": 1.0, "one": 2.0, "two": 12.7, "joined": 5.0})
    assert lines(graph, ops.Concat) == ["joined = Concat(one/dequantized, two/dequantized)"]
    assert placement.shared == (("one", "two", "joined"),)
    assert placement.scales["one"] == placement.scales["two"] == pytest.approx(0.1)
    assert "joined" not in placement.scales
    assert "joined/quantized" not in {value.name for value in graph.values()}


def test_chains_of_joins_share_one_scale() -> None:
    net = Net()
    x = net.input(1, 2, 4, 4)
    a, b = net.conv(x, "a"), net.conv(x, "b")
    first = net.add(ops.Concat((a, b), 1), "first")
    c = net.conv(first, "c")
    second = net.add(ops.Concat((first, c), 1), "second")
    graph = net.finish(net.conv(second, "d"))
    placement = place(graph, everything(graph))
    assert placement.shared == (("a", "b", "first", "c", "second"),)
    assert lines(graph, ops.Concat) == [
        "first = Concat(a/dequantized, b/dequantized)",
        "second = Concat(first, c/dequantized)",
    ]
    assert set(placement.scales) == {"x", "a", "b", "c"}


def test_a_join_with_a_constant_quantizes_the_constant() -> None:
    net = Net()
    one = net.conv(net.input(1, 2, 4, 4), "one")
    other = net.constant(1, 2, 4, 4, name="other")
    graph = net.finish(net.conv(net.add(ops.Concat((one, other), 1), "joined"), "two"))
    assert quantizable(graph) == ["x", "one", "joined"]
    placement = place(graph, everything(graph, 0.01))
    assert lines(graph, ops.Concat) == ["joined = Concat(one/dequantized, other/dequantized)"]
    greatest = abs(graph.value("other").constant.numpy()).max()  # type: ignore[union-attr]
    assert placement.scales["one"] == pytest.approx(greatest / 127)


def test_a_join_of_floats_is_quantized_after_it() -> None:
    net = Net()
    a, b = net.input(1, 2, 4, 4, name="a"), net.input(1, 2, 4, 4, name="b")
    joined = net.add(ops.Concat((a, b), 1), "joined")
    graph = net.finish(net.conv(joined, "conv"))
    placement = place(graph, everything(graph))
    assert list(placement.scales) == ["joined"]


def test_a_join_stays_in_float_where_one_part_has_no_range() -> None:
    net = Net()
    x = net.input(1, 2, 4, 4)
    joined = net.add(ops.Concat((net.conv(x, "one"), net.conv(x, "two")), 1), "joined")
    graph = net.finish(net.conv(joined, "three"))
    placement = place(graph, everything(graph, but=["two"]))
    assert lines(graph, ops.Concat) == ["joined = Concat(one, two)"]
    assert list(placement.scales) == ["x", "joined"]
    assert placement.unquantized == {"two": "it has no range"}


def test_parts_of_one_tensor_read_its_pair() -> None:
    net = Net()
    whole = net.conv(net.input(1, 2, 4, 4), "whole")
    first, last = (net.add(ops.Slice(whole, 1, at, 2), f"at{at}") for at in (0, 2))
    deeper = net.add(ops.Relu(net.conv(first, "deeper", 2)), "relu")
    graph = net.finish(net.conv(net.add(ops.Concat((last, deeper), 1), "joined"), "end"))
    placement = place(graph, everything(graph))
    assert lines(graph, ops.Slice, ops.Concat) == [
        "at0 = Slice(whole/dequantized)",
        "at2 = Slice(whole/dequantized)",
        "joined = Concat(at2, relu/dequantized)",
    ]
    assert placement.shared == (("whole", "at0", "at2", "relu", "joined"),)


def test_long_chains_are_placed() -> None:
    net = Net()
    x = net.conv(net.input(1, 4, 4, 4), "one")
    for _ in range(3000):
        x = net.add(ops.Transpose(x, (0, 1, 3, 2)), "swapped")
    graph = net.finish(net.conv(x, "two"))
    placement = place(graph, {"x": 1.0, "one": 2.0})
    assert list(placement.scales) == ["x", "one"]
    assert len(placement.shared[0]) == 3001
